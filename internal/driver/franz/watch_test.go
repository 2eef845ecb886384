package franz

import "testing"

// Whatever the rhythm in which records go to partitions, each partition has its share of the sample.
func TestTheSampleHasItsShareOfEveryPartition(t *testing.T) {
	const each = 16_000
	for partitions := uint64(1); partitions <= 100; partitions++ {
		seen := make([]int, partitions)
		for n := range partitions * each {
			if timed(n) {
				seen[n%partitions]++
			}
		}
		for p, n := range seen {
			if n < each/sampled*9/10 || n > each/sampled*11/10 {
				t.Errorf("of %d partitions, partition %d has %d records in the sample; its share is %d", partitions, p, n, each/sampled)
			}
		}
	}
}
