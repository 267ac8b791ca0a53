package api

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// MaxTokenLife is the longest time that a token lives.
const MaxTokenLife = 90 * 24 * time.Hour

// TokenRequest is the body of a request for a token. What is left out is told with all else that is wrong.
type TokenRequest struct {
	Name   string       `json:"name,omitempty" doc:"Who will show it: what is done with it has the author token:NAME. Several tokens of one maker may share it, so that one can take over from another"`
	Role   access.Role  `json:"role,omitempty" doc:"viewer, operator or admin; at most the caller's own"`
	Labels access.Scope `json:"labels,omitempty" doc:"Labels that the pools it is for have; without any it is for all pools. At least the caller's own"`
	TTL    string       `json:"ttl,omitempty" doc:"How long it lives, like 1h; at most 2160h, which is 90 days"`
}

// tokenName is a name as an author's may be: on one line, and told apart from what stands around it.
var tokenName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$`)

// Life is how long the token lives, and what is wrong with it, whoever asks for it.
func (r TokenRequest) Life() (ttl time.Duration, faults pool.Faults) {
	if !tokenName.MatchString(r.Name) {
		faults = append(faults, pool.Fault{Path: "name", Value: fmt.Sprintf("%.200q", r.Name), Reason: "is no name", Valid: "1 to 63 of a-z, A-Z, 0-9, '.', '_' and '-', starting and ending with a letter or digit"})
	}
	if !slices.Contains(access.Roles, r.Role) {
		faults = append(faults, pool.Fault{Path: "role", Value: fmt.Sprintf("%.200q", r.Role), Reason: "is no role", Valid: access.RoleNames()})
	}
	faults = append(faults, pool.LabelFaults(r.Labels)...)
	read, err := pool.ParseDuration(r.TTL)
	if ttl = read.Std(); err != nil || ttl < time.Second || ttl > MaxTokenLife {
		faults = append(faults, pool.Fault{Path: "ttl", Value: fmt.Sprintf("%.200q", r.TTL), Reason: "is no time that a token may live", Valid: `a duration like "1h", from 1s to ` + pool.Duration(MaxTokenLife).String()})
	}
	return ttl, faults
}

// Token is an access token, without what its holder shows.
type Token struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Role      access.Role  `json:"role"`
	Labels    access.Scope `json:"labels,omitempty" doc:"Labels that the pools it is for have; without any it is for all pools"`
	Author    string       `json:"author" doc:"Who has made it"`
	CreatedAt time.Time    `json:"created_at"`
	ExpiresAt time.Time    `json:"expires_at"`
	RevokedAt time.Time    `json:"revoked_at,omitzero"`
	RevokedBy string       `json:"revoked_by,omitempty"`
}

// NewToken is a token with what its holder shows, which is told this once.
type NewToken struct {
	Token
	Secret string `json:"token" doc:"What its holder shows, as Authorization: Bearer TOKEN"`
}

// TokenList are tokens from the one that was made last.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}
