// Package lifecycle is the manager: the use cases that users ask for (each one transaction that accepts a
// change and wakes the pool's controller) and one controller per pool, which observes, plans, journals,
// acts and records until the pool is as its newest generation wants it. It knows no HTTP.
//
// A step of a controller is a draft: facts and the planner's result applied to copies of the records,
// without I/O. The draft is committed in one transaction, and only then are its effects carried out; what
// they bring comes back as facts.
package lifecycle
