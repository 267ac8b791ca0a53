// Package seal encrypts what nobody may read in a store. It knows keys and bytes; whose secrets they are, and where
// they are kept, it does not.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// keySize is the length of a key, in bytes.
const keySize = 32

// ErrNoKey: the keyring has no key to seal with, or not the one that something was sealed with.
var ErrNoKey = errors.New("there is no key for it")

// Keyring is a manager's keys: it seals with the first of them, and opens what any of them has sealed. The zero
// Keyring has none.
type Keyring struct{ keys []key }

// key is one key, as what is derived from it: each use has a secret of its own.
type key struct {
	id   string
	aead cipher.AEAD
	mac  []byte
}

// NewKey makes a key, as Parse reads it.
func NewKey() string {
	secret := make([]byte, keySize)
	rand.Read(secret) // it never errs
	return base64.StdEncoding.EncodeToString(secret)
}

// Parse reads keys, one in a line: 32 random bytes in base64. The first seals; those after it are older ones. Empty
// lines, and those that begin with '#', are skipped. No error repeats what was read.
func Parse(text string) (Keyring, error) {
	var k Keyring
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		secret, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(secret) != keySize {
			return Keyring{}, fmt.Errorf("line %d is no key: valid are %d random bytes in base64, like what `openssl rand -base64 %d` prints", number, keySize, keySize)
		}
		one, err := newKey(secret)
		if err != nil {
			return Keyring{}, err
		}
		k.keys = append(k.keys, one)
	}
	if len(k.keys) == 0 {
		return Keyring{}, fmt.Errorf("there is no key in it: valid are lines of %d random bytes in base64, like what `openssl rand -base64 %d` prints", keySize, keySize)
	}
	return k, nil
}

func newKey(secret []byte) (k key, err error) {
	derive := func(use string, size int) []byte {
		derived, e := hkdf.Key(sha256.New, secret, nil, "poolkeeper "+use, size)
		err = errors.Join(err, e)
		return derived
	}
	k.id, k.mac = hex.EncodeToString(derive("id", 8)), derive("mac", sha256.Size)
	block, e := aes.NewCipher(derive("seal", keySize))
	if err := errors.Join(err, e); err != nil {
		return key{}, err
	}
	k.aead, err = cipher.NewGCMWithRandomNonce(block)
	return k, err
}

// IDs name the keys, the one that seals first. A name tells nothing of its key.
func (k Keyring) IDs() []string {
	ids := make([]string, len(k.keys))
	for i, one := range k.keys {
		ids[i] = one.id
	}
	return ids
}

// Seal encrypts plain with the newest key, whose id it returns. What is sealed opens only together with about,
// which says what it is and is not kept in it. ErrNoKey if there is no key.
func (k Keyring) Seal(plain []byte, about string) (keyID string, sealed []byte, err error) {
	if len(k.keys) == 0 {
		return "", nil, ErrNoKey
	}
	newest := k.keys[0]
	return newest.id, newest.aead.Seal(nil, nil, plain, []byte(about)), nil
}

// Open decrypts what was sealed with the key of that id. ErrNoKey if the keyring does not have it; another error if
// it was sealed about something else, or was altered.
func (k Keyring) Open(keyID string, sealed []byte, about string) ([]byte, error) {
	for _, one := range k.keys {
		if one.id != keyID {
			continue
		}
		plain, err := one.aead.Open(nil, nil, sealed, []byte(about))
		if err != nil {
			return nil, fmt.Errorf("open what key %s has sealed: it was altered, or sealed as something else", keyID)
		}
		return plain, nil
	}
	return nil, fmt.Errorf("%w (key %s)", ErrNoKey, keyID)
}

// Mark is a text that stands for another one, and from which that can be guessed only by who has the key. Without a key
// it is the text itself.
func (k Keyring) Mark(text string) string {
	if len(k.keys) == 0 {
		return text
	}
	return k.keys[0].mark(text)
}

// Marks says whether a mark stands for a text, made with any of the keys.
func (k Keyring) Marks(mark, text string) bool {
	for _, one := range k.keys {
		if hmac.Equal([]byte(one.mark(text)), []byte(mark)) {
			return true
		}
	}
	return mark == text // it was made without a key
}

func (k key) mark(text string) string {
	m := hmac.New(sha256.New, k.mac)
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}
