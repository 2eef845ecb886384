// Package sample is code to mutate.
package sample

type kind uint8

const (
	small kind = iota
	large
)

// larger of two: on the border it does not matter which.
func larger(a, b int) int {
	if a < b {
		return b
	}
	return a
}

func sort(n int) kind {
	if n > 9 && n < 1000 {
		return large
	}
	return small
}

func sum(list []int) int {
	total := 0
	for _, n := range list {
		if n < 0 {
			continue
		}
		total += n
	}
	return total
}

func name(k kind) string {
	switch k {
	case large:
		return "large"
	default:
		return "small"
	}
}

func untested(n int) int {
	return max(n, 7)
}
