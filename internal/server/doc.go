// Package server is the manager's HTTP API: it turns requests into calls of the lifecycle, says who asks,
// and answers refusals as problems. It decides nothing about pools.
package server
