package bench

import (
	"strconv"

	"github.com/kbench/kbench/scenarios"
)

// keyNone stands where a record has no key.
const keyNone = -1

// keys draws the numbers of keys.
type keys struct {
	spec  scenarios.Keys
	nulls float64 // share of records without a key besides
	ranks zipf
}

func newKeys(spec scenarios.Keys, nulls float64) keys {
	k := keys{spec: spec, nulls: nulls}
	if k.spec.Kind == "" || k.spec.Count < 1 {
		k.spec.Kind = scenarios.NoKeys
	}
	if spec.Kind == scenarios.ZipfKeys {
		k.ranks = newZipf(spec.Count, spec.Exponent)
	}
	return k
}

// of is the number of a record's key; keyNone leaves the partition to the client.
func (k *keys) of(d draw, seq int64) int64 {
	if k.nulls > 0 && d.share() < k.nulls {
		return keyNone
	}
	count := uint64(k.spec.Count)
	switch k.spec.Kind {
	case scenarios.UniformKeys:
		return int64(d.below(count))
	case scenarios.ZipfKeys:
		return k.ranks.of(&d) - 1
	case scenarios.HotKeys:
		hot := uint64(k.spec.Hot)
		if d.share() < k.spec.Share {
			return int64(d.below(hot))
		}
		return int64(hot + d.below(count-hot))
	case scenarios.SequentialKeys:
		return int64(uint64(seq) % count)
	}
	return keyNone
}

// keyRoom is what the longest key takes.
const keyRoom = len("k2147483647")

// appendKey writes a key as it is sent.
func appendKey(to []byte, number int64) []byte { return strconv.AppendInt(append(to, 'k'), number, 10) }
