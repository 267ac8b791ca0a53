//go:build linux

package main

// onLinux is what can be measured where there is a /proc.
var onLinux = append([]measurement{
	{"restart", one(measureRestart), 3},
	{"rest", one(measureRest), 3},
	{"memory", one(measureMemory), 1},
	{"probing", one(measureProbing), 3},
}, besidePeers()...)

func besidePeers() (all []measurement) {
	for _, other := range peers {
		all = append(all, measurement{other.program, one(measurePeer(other)), 3})
	}
	return all
}
