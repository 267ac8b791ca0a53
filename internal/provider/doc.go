// Package provider is Poolkeeper's Terraform provider: a thin client of a manager. It owns the schema in
// HCL, what a plan announces, and what Terraform's state keeps of a pool. What a field means, which value
// of it is valid and how a change of it is applied is read from package pool; where a manager runs and how
// it is reached is the business of packages client and embedded.
package provider
