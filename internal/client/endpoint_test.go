package client_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

func TestAnEndpointIsASocketOrAnHTTPAddress(t *testing.T) {
	for endpoint, fault := range map[string]string{
		"unix:///run/poolkeeper/manager.sock": "",
		"http://127.0.0.1:7070":               "",
		"https://pools.example.com/prefix/":   "",
		"tcp://127.0.0.1:7070":                "",
		"tcp://":                              "no known scheme",
		"":                                    "no known scheme",
		"manager.example.com:7070":            "no known scheme",
		"/run/manager.sock":                   "no known scheme",
		"ftp://host":                          "no known scheme",
		"http://":                             "no known scheme",
		"unix://manager.sock":                 "no absolute path",
		"unix:manager.sock":                   "no absolute path",
		"https://user:secret@host":            "more than a host and a path",
		"https://host?token=x":                "more than a host and a path",
		"https://host\n":                      "is no URL",
	} {
		t.Run(endpoint, func(t *testing.T) {
			_, err := client.New(client.Config{Endpoint: endpoint})
			if fault == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, fault)
			require.ErrorContains(t, err, "write it like")
		})
	}
}

func TestAPrefixOfTheEndpointStandsBeforeEveryPath(t *testing.T) {
	_, manager := manager(t, client.Config{}, answer(200, map[string]any{}))
	c, err := client.New(client.Config{Endpoint: endpointOf(t, manager) + "/team/"})
	require.NoError(t, err)
	_, err = c.Manager(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/team/v1/manager", manager.requests()[0].path)
}

func TestAnEndpointMayBeWrittenAsAManagerIsToldToListen(t *testing.T) {
	_, manager := manager(t, client.Config{}, answer(200, map[string]any{"id": "m1"}))
	c, err := client.New(client.Config{Endpoint: strings.Replace(endpointOf(t, manager), "http://", "tcp://", 1)})
	require.NoError(t, err)
	m, err := c.Manager(t.Context())
	require.NoError(t, err)
	require.Equal(t, "m1", m.ID)
}

func TestASocketIsReached(t *testing.T) {
	path := socketPath(t)
	serveSocket(t, path, &recorder{answers: answers(answer(200, map[string]any{"id": "m1"}))})
	c, err := client.New(client.Config{Endpoint: "unix://" + path})
	require.NoError(t, err)
	m, err := c.Manager(t.Context())
	require.NoError(t, err)
	require.Equal(t, "m1", m.ID)
}

func TestAnErrorShowsNothingSecretOfAnEndpoint(t *testing.T) {
	for endpoint, shown := range map[string]string{
		"https://ada:s3cret@host/prefix": "https://xxxxx@host/prefix",
		"https://s3cret@host":            "https://xxxxx@host",
		"https://host?token=s3cret":      "https://host?xxxxx",
		"https://host#s3cret":            "https://host#xxxxx",
		"https://ada:s3cret/@host":       "xxxxx@host",
		"https://ada:%s3cret@host":       "xxxxx@host",
		"https://host:port?token=s3cret": "https://host:port",
		"ftp://ada:s3cret@host":          "ftp://xxxxx@host",
		"unix://run/ada@home/m.sock":     "unix://run/ada@home/m.sock",
	} {
		_, err := client.New(client.Config{Endpoint: endpoint})
		require.ErrorContains(t, err, `endpoint "`+shown+`": `, endpoint)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func TestATokenThatNoHeaderCanCarryIsRefusedAndNotShown(t *testing.T) {
	for _, token := range []string{"s3cret\n", "s3\ncret", "s3cret\r\n", "s3\x00cret"} {
		_, err := client.New(client.Config{Endpoint: "http://host", Token: token})
		require.ErrorIs(t, err, client.ErrToken)
		require.NotContains(t, err.Error(), "cret")
	}
	for _, token := range []string{"", "s3cret", "correct horse battery staple", "schlüssel"} {
		_, err := client.New(client.Config{Endpoint: "http://host", Token: token})
		require.NoError(t, err)
	}
}
