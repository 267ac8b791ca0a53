// Package failpoint marks the places between what the manager does and what it records of it, where a test ends
// it with kill -9. Without the build tag "failpoints" they are not there.
package failpoint

// Point is one such place.
type Point string

const (
	Accepted  Point = "accepted"  // a change is committed, and neither its controller nor its author was told
	Journaled Point = "journaled" // intents are committed, and none is carried out
	Forked    Point = "forked"    // a worker's process runs, and it is nowhere noted as which
	Noted     Point = "noted"     // the runtime has noted which, and does not watch it yet
	Launched  Point = "launched"  // the runtime watches it, and the store does not know of it
	Signalled Point = "signalled" // a condemned worker got its signal
	Ended     Point = "ended"     // a worker's end was seen, and reported to nobody
	Killed    Point = "killed"    // a condemned worker was killed with all that it had started
	Swept     Point = "swept"     // what an ended worker left was ended
	Cleaned   Point = "cleaned"   // what a pool left outside the store is removed, and the pool still is there
	Granted   Point = "granted"   // a lease is committed, and nobody was told
	Released  Point = "released"  // the end of a lease is committed, and nobody was told
	Steered   Point = "steered"   // how a pool goes on is committed, and neither its controller nor who asked was told
	Marked    Point = "marked"    // what somebody notes about a worker is committed, and nobody was told
)

// All are the points, in the order in which a pool's life comes by them.
var All = []Point{Accepted, Journaled, Forked, Noted, Launched, Granted, Released, Marked, Steered, Signalled, Ended, Killed, Swept, Cleaned}
