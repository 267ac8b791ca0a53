package simulation

// promise is one thing that must hold.
type promise struct {
	number int                       // in the list of what Poolkeeper promises
	name   string                    // also what a mutation is found by
	on     event                     // the moments that it is held against
	broken func(*run, moment) string // says how a moment breaks it, or nothing
}

// What is held against a run as a whole, where it comes to it.
const (
	opens   = "a store opens again as it was closed"
	audited = "what was recorded is there whatever happens"
	joins   = "a manager that ends leaves nothing under way"
	rests   = "every pool comes to rest once the faults stop"
	leaks   = "at rest runs what is recorded, and nothing else"
	gapless = "events are numbered without gaps, in their order"
)

// promises are read from the top at every moment of their kind. A new one is a row, its judge, and a row of the
// mutations that it finds. (Promise 9 is the benchmarks'.)
var promises = []promise{
	{1, "only a condemned worker is signalled", "signal", strayBlow(condemned)},
	{1, "only a condemned or ended worker is killed", "kill", strayBlow(condemned, ended)},
	{1, "only what an ended worker left is swept", "sweep", strayBlow(condemned, ended)},
	{1, "a worker that served is withdrawn before it is stopped", commit, undrained},
	{1, "a worker that was given more time has it", commit, cutOff(extended)},
	{1, "a lease keeps its worker until its drain is over", commit, cutOff(leased)},
	{1, "a job keeps its worker until its drain is over", commit, cutOff(employed)},
	{1, "a worker that finishes on its signal is killed once its drain is over", "kill", killedAtWork},
	{1, "a slot is granted once, on a worker that takes leases", commit, misgranted},
	{1, "nobody gets a slot before who has waited longer", commit, overtaken},
	{1, "nobody waits beside a free slot", commit, neglected},
	{1, "a worker's life never goes backwards", commit, backwards},
	{2, "planned actions leave as many available as the budget says", commit, overspent},
	{2, "launches stay within size, surge and one replacement", commit, crowded},
	{3, "a worker is launched once, after its record", "launch", unrecordedLaunch},
	{3, "a worker is closed when its instance is gone", commit, closedAlive},
	{3, "generations only grow, and converged ones follow", commit, generations},
	{3, "what has ended stays as it ended", commit, rewritten},
	{3, "an accepted change is on record", answer, unrecordedAnswer},
	{3, "a repeated request has the first one's answer", answer, otherAnswer},
	{3, "a lease expires when it could have been renewed", commit, expiredEarly},
	{3, "a lease ends with its worker, once and with its event", commit, unended},
	{3, opens, whole, nil},
	{3, audited, whole, nil},
	{3, joins, whole, nil},
	{3, rests, whole, nil},
	{4, leaks, whole, nil},
	{4, "a destroyed pool leaves nothing, or says what", commit, leftovers},
	{4, "no lease outlives its pool", commit, outlived},
	{4, "a worker counts the leases that are held on it", commit, miscounted},
	{5, "a worker leaves for a reason that the records show", commit, causeless},
	{5, "whoever is chosen by hand goes", commit, spared},
	{5, "a pool is converged when it is as wanted", commit, unconverged},
	{6, "what cannot be accepted changes nothing", answer, wronglyAccepted},
	{7, "a canary goes before the rest", commit, hasty},
	{7, "a rollout that fails goes on as on_failure says", commit, mishandled},
	{7, "a pool returns to what was good, and keeps the rest", commit, misled},
	{7, "what fails says why", commit, unexplained},
	{8, "every change of a worker or pool has its event and author", commit, unauthored},
	{8, gapless, whole, nil},
}
