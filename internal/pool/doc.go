// Package pool is the domain: what a user declares (Spec), what each field of it means and how a change
// of it is applied (Fields), what is valid (Validate), and the records and states of pools, workers,
// operations and events. It decides nothing about time or processes and imports nothing of this project.
package pool
