// Package simulation runs the whole engine against everything that can go wrong: the real manager, planner
// and SQLite store, on a simulated clock, between random users and a runtime that fails, delays, repeats,
// loses answers and lets workers die, while managers crash and start again.
//
// Every call of a manager or a user waits at a gate, and a schedule drawn from a seed lets one go on at a
// time, so that a seed always tells the same story. After every step the promises, a table, are held
// against what was recorded and what runs; when the faults have stopped, every pool must come to rest.
//
// The package stands beside the server, on the manager, and is used by its own tests alone.
package simulation
