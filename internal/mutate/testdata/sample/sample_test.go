package sample

import "testing"

func Test(t *testing.T) {
	for n, want := range map[int]kind{9: small, 10: large, 999: large, 1000: small} {
		if sort(n) != want {
			t.Error(n)
		}
	}
	if larger(1, 2) != 2 || larger(2, 1) != 2 || larger(2, 2) != 2 {
		t.Error("larger")
	}
	if sum([]int{1, -5, 0, 4}) != 5 || name(large) != "large" || name(small) != "small" {
		t.Error("sum or name")
	}
}
