package pool

// WithTemplateOf is the spec with the template and the contract of another one: what workers are made from and
// how they are treated. Size, budgets and everything else that no worker is replaced for stay.
func (s Spec) WithTemplateOf(other Spec) Spec {
	s.Worker, s.RestartTriggers = other.Worker, other.RestartTriggers
	s.Health, s.Leases, s.Drain = other.Health, other.Leases, other.Drain
	return s
}
