package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

// identity is a certificate that signs itself, and its key, as PEM.
func identity(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

func TestAnEndpointIsTrustedByItsCertificateAndKnowsTheClientByIts(t *testing.T) {
	cert, key := identity(t, "client")
	other, otherKey := identity(t, "stranger")
	known := x509.NewCertPool()
	require.True(t, known.AppendCertsFromPEM([]byte(cert)))
	server := httptest.NewUnstartedServer(answer(200, view(1)))
	server.TLS = &tls.Config{ClientCAs: known, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = hclog.NewNullLogger().StandardLogger(nil) // of the handshakes that are to fail
	server.StartTLS()
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, []byte(ca), 0o600))

	for name, row := range map[string]struct {
		tls   client.TLS
		fault string
	}{
		"known both ways":         {client.TLS{CACert: ca, Cert: cert, Key: key}, ""},
		"from a file":             {client.TLS{CACert: file, Cert: cert, Key: key}, ""},
		"any certificate will do": {client.TLS{Insecure: true, Cert: cert, Key: key}, ""},
		"not trusted":             {client.TLS{Cert: cert, Key: key}, "certificate"},
		"not known":               {client.TLS{CACert: ca}, "certificate required"},
		"a stranger":              {client.TLS{CACert: ca, Cert: other, Key: otherKey}, "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := client.New(client.Config{Endpoint: server.URL, TLS: row.tls, Patience: -1})
			require.NoError(t, err)
			_, err = c.Pool(t.Context(), "web")
			if row.fault == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.fault)
			require.ErrorIs(t, err, client.ErrUnreachable)
		})
	}

	_, err := client.New(client.Config{Endpoint: server.URL, TLS: client.TLS{Cert: cert, Key: otherKey}})
	require.ErrorContains(t, err, "client_cert: it does not fit its key")
}

func TestAFailureOfWhatIsInBetweenIsTriedAgain(t *testing.T) {
	c, manager := manager(t, client.Config{}, text(500, "text/html", "<h1>Internal Server Error</h1>"), answer(200, view(1)))
	_, err := c.Pool(t.Context(), "web")
	require.NoError(t, err)
	require.Len(t, manager.requests(), 2)
}
