// Package legacy stands in for what no test uses.
package legacy
