package scenarios

import "strings"

// nearest is the name that was probably meant, or "" where none is close enough to be worth suggesting.
func nearest(name string, known []string) string {
	best, least := "", len([]rune(name))/3+2
	for _, k := range known {
		if len(name) >= 3 && strings.HasPrefix(k, name) && len(k) > len(name) && (k[len(name)] == '.' || k[len(name)] == '-') {
			return k // linger for linger.ms, after for after-processing
		}
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(x); i++ {
		before, last, row := rows[0], rows[1], rows[2]
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		rows = [3][]int{last, row, before}
	}
	return rows[1][len(y)]
}

// didYouMean is a hint for a name that is not known: the nearest one, or all where they are few.
func didYouMean(name string, known []string) string {
	if n := nearest(name, known); n != "" {
		return "did you mean " + n + "?"
	}
	if len(known) > 0 && len(known) <= 24 {
		return "known: " + strings.Join(known, ", ")
	}
	return ""
}
