package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/seal"
)

func keyring(t *testing.T, keys ...string) seal.Keyring {
	t.Helper()
	k, err := seal.Parse(strings.Join(keys, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sealed(t *testing.T, k seal.Keyring, plain, about string) (string, []byte) {
	t.Helper()
	id, text, err := k.Seal([]byte(plain), about)
	if err != nil {
		t.Fatal(err)
	}
	return id, text
}

func TestWhatIsSealedOpensAndTellsNothing(t *testing.T) {
	k := keyring(t, seal.NewKey())
	id, text := sealed(t, k, "swordfish", "pool/1")
	if bytes.Contains(text, []byte("sword")) {
		t.Errorf("sealed: %q", text)
	}
	if plain, err := k.Open(id, text, "pool/1"); err != nil || string(plain) != "swordfish" {
		t.Errorf("opened %q, %v", plain, err)
	}
	if _, again := sealed(t, k, "swordfish", "pool/1"); bytes.Equal(text, again) {
		t.Error("the same text sealed twice is the same: who compares learns that it is")
	}
}

func TestWhatIsSealedOpensOnlyAsWhatItIs(t *testing.T) {
	k := keyring(t, seal.NewKey())
	id, text := sealed(t, k, "swordfish", "pool/1")
	if plain, err := k.Open(id, text, "pool/2"); err == nil {
		t.Errorf("opened as something else: %q", plain)
	}
	text[len(text)/2] ^= 1
	if plain, err := k.Open(id, text, "pool/1"); err == nil {
		t.Errorf("opened though it was altered: %q", plain)
	}
}

func TestAnOlderKeyOpensAndANewerSeals(t *testing.T) {
	older, newer := seal.NewKey(), seal.NewKey()
	id, text := sealed(t, keyring(t, older), "swordfish", "pool/1")
	both := keyring(t, "# the newest first", newer, "", older)
	if plain, err := both.Open(id, text, "pool/1"); err != nil || string(plain) != "swordfish" {
		t.Errorf("opened %q, %v", plain, err)
	}
	if by, _ := sealed(t, both, "x", "y"); by != both.IDs()[0] || by == id {
		t.Errorf("sealed by %s; the keys are %v, the older one is %s", by, both.IDs(), id)
	}
	if _, err := keyring(t, newer).Open(id, text, "pool/1"); !errors.Is(err, seal.ErrNoKey) || !strings.Contains(err.Error(), id) {
		t.Errorf("without the older key: %v, want %v that names %s", err, seal.ErrNoKey, id)
	}
	if _, _, err := (seal.Keyring{}).Seal([]byte("x"), "y"); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("without any key: %v, want %v", err, seal.ErrNoKey)
	}
}

func TestWhatIsNoKeyIsNotRepeated(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "swordfish", seal.NewKey() + "\nswordfish", "c3dvcmRmaXNo"} {
		_, err := seal.Parse(text)
		if err == nil || strings.Contains(err.Error(), "sword") || strings.Contains(err.Error(), "c3d") || !strings.Contains(err.Error(), "openssl rand -base64 32") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAMarkIsMadeAgainOnlyWithItsKey(t *testing.T) {
	older, newer := seal.NewKey(), seal.NewKey()
	mark := keyring(t, older).Mark("PUT /v1/pools/web")
	for _, c := range []struct {
		name string
		keys seal.Keyring
		want bool
	}{
		{"the same key", keyring(t, older), true},
		{"as an older key", keyring(t, newer, older), true},
		{"another key", keyring(t, newer), false},
		{"no key", seal.Keyring{}, false},
	} {
		if got := c.keys.Marks(mark, "PUT /v1/pools/web"); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if k := keyring(t, older); k.Marks(mark, "PUT /v1/pools/other") || !k.Marks("PUT", "PUT") {
		t.Error("a mark stands for another text, or one that was made without a key stands for none")
	}
}
