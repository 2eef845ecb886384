package bench

// ReplacePacer has the producers of a run keep another pacer than kbench's own.
func (c *Config) ReplacePacer(by func(pacer Pacer, start int64, now func() int64) Pacer) {
	c.changeSessions = func(s *session) { s.pacing = by }
}
