// Package autoscale decides how many workers an autoscaled pool should have. Its decisions are pure: no I/O, no
// clock, no randomness.
package autoscale
