package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/hashicorp/go-hclog"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
)

// Config is what a server works with.
type Config struct {
	Manager *lifecycle.Manager
	// Describe tells what is constant about the manager; the server adds what moves.
	Describe api.Manager
	// Token is what an admin over TCP shows, beside those that the manager has made; a unix socket needs none.
	Token string
	// Stop ends the manager.
	Stop     func()
	Logger   hclog.Logger
	Patience Patience
}

// Server answers the API. It is an http.Handler.
type Server struct {
	config  Config
	handler http.Handler
	openapi *huma.OpenAPI
	open    map[string]bool // the paths that answer whoever asks
	activity
}

// New makes the API's routes.
func New(config Config) *Server {
	useProblems()
	config.Patience = config.Patience.orDefault()
	s := &Server{config: config, open: map[string]bool{}}
	s.activity.last = time.Now()
	router := chi.NewMux()
	router.Use(s.count, s.recoverPanics, s.boundBody, s.guard, readBody, middleware.GetHead)
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		write(w, problem(api.ProblemNotFound, "there is nothing at "+r.Method+" "+r.URL.Path))
	})
	router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", strings.Join(allowed(router, r.URL.Path), ", "))
		write(w, plainProblem(http.StatusMethodNotAllowed, r.Method+" is not possible at "+r.URL.Path))
	})
	router.Method(http.MethodGet, "/metrics", s.permitted(watcher, metrics(config.Manager)))
	described := humachi.New(router, humaConfig(config.Describe.Version))
	described.UseMiddleware(s.authorize)
	s.openapi = s.routes(described)
	for path, item := range s.openapi.Paths {
		if o := item.Get; o != nil && o.Metadata[metaNeed] == anyone {
			s.open[path] = true
		}
	}
	s.handler = router
	return s
}

// allowed lists the methods that are possible at a path.
func allowed(router chi.Routes, path string) (methods []string) {
	for _, m := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodPost, http.MethodDelete} {
		if router.Match(chi.NewRouteContext(), m, path) {
			methods = append(methods, m)
		}
	}
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	return methods
}

// securityToken names in the API's description how callers over TCP make themselves known.
const securityToken = "token"

func humaConfig(version string) huma.Config {
	c := huma.DefaultConfig("Poolkeeper", version)
	c.Info.Description = "Lifecycle of pools of workers."
	c.DocsPath, c.SchemasPath = "", ""
	c.CreateHooks = nil // answers carry no $schema
	c.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[statusProblem](), reflect.TypeFor[api.Problem]())
	c.RejectUnknownQueryParameters = true
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{securityToken: {Type: "http", Scheme: "bearer"}}
	return c
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// OpenAPI is the API's description, as it is served at /openapi.json and /openapi.yaml.
func (s *Server) OpenAPI() ([]byte, error) { return s.openapi.YAML() }

// Serve answers on the listener until ctx ends, which also ends the waits of requests under way; they have
// a moment to be answered.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.config.Patience.Header,
		WriteTimeout:      s.config.Patience.Answer,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       rememberPeer,
		ErrorLog:          s.config.Logger.StandardLogger(&hclog.StandardLoggerOptions{InferLevels: true}),
	}
	var wait sync.WaitGroup
	defer wait.Wait()
	served, stop := context.WithCancel(ctx)
	defer stop()
	wait.Go(func() {
		<-served.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if err := h.Shutdown(grace); err != nil {
			_ = h.Close() // requests that outlast the grace are cut off
		}
	})
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
