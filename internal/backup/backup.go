// Package backup is the form in which pools leave a store and come back: a file that says what it is, of which version
// it is, and by its checksum that all of it is there. It knows records and bytes, no store and no manager.
//
// The file is lines of JSON: a Header, one Pool a line, and an end with the number of pools and the SHA-256 of all
// lines before it.
package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	format = "poolkeeper backup"
	// version is the newest that this program writes and reads. Raise it when an older program must not read the file.
	version = 1
)

var (
	// ErrDamaged: the file is not one, ends early, or was altered. Nothing of it can be trusted.
	ErrDamaged = errors.New("the backup is damaged")
	// ErrNewer: a newer Poolkeeper has written it.
	ErrNewer = errors.New("the backup is of a newer Poolkeeper")
)

// Header says what a backup is.
type Header struct {
	Format      string    `json:"format"`
	Version     int       `json:"version"`
	Program     string    `json:"program,omitempty"` // version of the manager that wrote it
	CreatedAt   time.Time `json:"created_at"`
	ManagerID   string    `json:"manager_id"`
	Incarnation string    `json:"incarnation"` // of its store
	Events      bool      `json:"events"`      // whether the pools' event logs are in it
	Secrets     bool      `json:"secrets"`     // whether their secrets are, sealed as in the store
}

// Pool is all that is kept of one pool. Its workers and leases belong to the moment, and are not.
type Pool struct {
	Pool      pool.Pool       `json:"pool"`
	Revisions []pool.Revision `json:"revisions"` // the oldest first
	Secrets   []pool.Secret   `json:"secrets,omitempty"`
	Events    []pool.Event    `json:"events,omitempty"`
}

// UnmarshalJSON lays specs over the defaults: a field that is younger than the backup has its own.
func (p *Pool) UnmarshalJSON(data []byte) error {
	var raw struct {
		Pool      json.RawMessage   `json:"pool"`
		Revisions []json.RawMessage `json:"revisions"`
		Secrets   []pool.Secret     `json:"secrets"`
		Events    []pool.Event      `json:"events"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*p = Pool{Pool: pool.Pool{Spec: pool.Default()}, Secrets: raw.Secrets, Events: raw.Events}
	if err := json.Unmarshal(raw.Pool, &p.Pool); err != nil {
		return err
	}
	for _, text := range raw.Revisions {
		r := pool.Revision{Spec: pool.Default()}
		if err := json.Unmarshal(text, &r); err != nil {
			return err
		}
		p.Revisions = append(p.Revisions, r)
	}
	return nil
}

// ending is the last line.
type ending struct {
	End    bool   `json:"end"`
	Pools  int    `json:"pools"`
	SHA256 string `json:"sha256"`
}

// Writer writes a backup.
type Writer struct {
	out   *bufio.Writer
	sum   hash.Hash
	pools int
}

// NewWriter begins a backup; the header's Format and Version are its own.
func NewWriter(out io.Writer, h Header) (*Writer, error) {
	w := &Writer{out: bufio.NewWriter(out), sum: sha256.New()}
	h.Format, h.Version = format, version
	err := w.line(h)
	return w, err
}

// Put writes one pool.
func (w *Writer) Put(p Pool) error {
	w.pools++
	return w.line(p)
}

// Close ends the backup. Without it, it is none.
func (w *Writer) Close() error {
	if err := w.line(ending{true, w.pools, hex.EncodeToString(w.sum.Sum(nil))}); err != nil {
		return err
	}
	return w.out.Flush()
}

func (w *Writer) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a line of the backup: %w", err)
	}
	text = append(text, '\n')
	w.sum.Write(text) // it never errs
	_, err = w.out.Write(text)
	return err
}

// Read reads a backup, and visits its pools as they come; nil visits none. What was visited can only be trusted once Read
// has returned without an error: read twice to be sure first. It errs with ErrDamaged or ErrNewer, or as visit does.
func Read(in io.Reader, visit func(Pool) error) (h Header, err error) {
	lines, sum, pools := bufio.NewReader(in), sha256.New(), 0
	line, err := lines.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return h, err
	}
	switch bad := json.Unmarshal(line, &h); {
	case bad != nil, h.Format != format:
		return h, fmt.Errorf("%w: it does not begin as one", ErrDamaged)
	case h.Version > version:
		return h, fmt.Errorf("%w: it has version %d (written by %s), and this one reads %d at most: use the newer one", ErrNewer, h.Version, h.Program, version)
	}
	for {
		sum.Write(line)
		if line, err = lines.ReadBytes('\n'); err != nil && !errors.Is(err, io.EOF) {
			return h, err
		}
		if !bytes.HasSuffix(line, []byte{'\n'}) {
			return h, fmt.Errorf("%w: it ends early, after %d pools", ErrDamaged, pools)
		}
		var end ending
		if bytes.HasPrefix(line, []byte(`{"end":true`)) && json.Unmarshal(line, &end) == nil {
			return h, complete(lines, end, pools, sum)
		}
		pools++
		if visit == nil {
			continue
		}
		var p Pool
		if err := json.Unmarshal(line, &p); err != nil {
			return h, fmt.Errorf("%w: pool %d cannot be read: %w", ErrDamaged, pools, err)
		}
		if err := visit(p); err != nil {
			return h, err
		}
	}
}

// complete says whether a backup ended as it was written.
func complete(rest *bufio.Reader, end ending, pools int, sum hash.Hash) error {
	if end.Pools != pools || end.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
		return fmt.Errorf("%w: its checksum is not that of its content", ErrDamaged)
	}
	if _, err := rest.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its end", ErrDamaged)
	}
	return nil
}
