package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// TLS says how an https endpoint is known to be the manager's, and how the client is known to it. A certificate or key
// is PEM text, or the path of a file with it.
type TLS struct {
	CACert   string // of who has signed the endpoint's certificate; empty: whom the system trusts
	Cert     string // the client's own; together with Key
	Key      string
	Insecure bool // any certificate will do: for tests
}

// ConfigError is a fault of one setting of a Config.
type ConfigError struct {
	Setting string // "ca_cert", "client_cert", "client_key" or "endpoint"
	Err     error
}

func (e *ConfigError) Error() string { return fmt.Sprintf("%s: %v", e.Setting, e.Err) }

func (e *ConfigError) Unwrap() error { return e.Err }

// config is nil for the system's defaults.
func (t TLS) config() (*tls.Config, error) {
	if t == (TLS{}) {
		return nil, nil //nolint:nilnil // no configuration is the default one
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Insecure} //nolint:gosec // only if it is asked for
	if t.CACert != "" {
		ca, err := material(t.CACert)
		if err != nil {
			return nil, &ConfigError{"ca_cert", err}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, &ConfigError{"ca_cert", errors.New("it holds no certificate; valid: PEM text, or the path of a file with it")}
		}
	}
	switch {
	case t.Cert == "" && t.Key == "":
		return config, nil
	case t.Key == "":
		return nil, &ConfigError{"client_key", errors.New("it is missing; a client certificate needs its key")}
	case t.Cert == "":
		return nil, &ConfigError{"client_cert", errors.New("it is missing; a client key is worth nothing without its certificate")}
	}
	cert, err := material(t.Cert)
	if err != nil {
		return nil, &ConfigError{"client_cert", err}
	}
	key, err := material(t.Key)
	if err != nil {
		return nil, &ConfigError{"client_key", err}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, &ConfigError{"client_cert", fmt.Errorf("it does not fit its key: %w", err)}
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// material is PEM text, from a file if it is not given itself.
func material(given string) ([]byte, error) {
	if strings.Contains(given, "-----BEGIN ") {
		return []byte(given), nil
	}
	return os.ReadFile(given)
}
