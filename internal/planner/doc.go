// Package planner decides what is to be done for one pool: Plan turns a World, the time included, into
// actions that name their workers, the outcomes of operations, and the next moment at which time alone
// would change the answer. It is pure: no I/O, no clock, no randomness.
package planner
