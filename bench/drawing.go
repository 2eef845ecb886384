package bench

import (
	"math"
	"math/bits"
)

// draws is one component's source of what is drawn for single records: the same for the same record of a seed, in whatever order
// records are asked for, so that one that is sent again is the same one. It allocates nothing.
type draws uint64

// of begins the draws for one record of a session.
func (d draws) of(session int32, seq int64) draw {
	return draw(mix(uint64(d)^mix(uint64(session)<<48^uint64(seq))) | 1)
}

// draw is a row of numbers (splitmix64).
type draw uint64

const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (d *draw) next() uint64 {
	*d += golden
	return mix(uint64(*d))
}

// share is a number from 0 to less than 1.
func (d *draw) share() float64 { return float64(d.next()>>11) / (1 << 53) }

// below is a whole number less than n.
func (d *draw) below(n uint64) uint64 {
	high, _ := bits.Mul64(d.next(), n)
	return high
}

// normal is of mean 0 and deviation 1 (Box and Muller).
func (d *draw) normal() float64 {
	return math.Sqrt(-2*math.Log(1-d.share())) * math.Cos(2*math.Pi*d.share())
}

// zipf draws a rank from 1 to n in proportion to rank^-exponent, for any exponent from 0 on and in constant time and memory, by
// rejection-inversion (W. Hörmann, G. Derflinger, Rejection-inversion to generate variates from monotone discrete distributions, ACM
// TOMACS 6, 1996).
type zipf struct {
	n, exponent      float64
	first, last, cut float64
}

func newZipf(n int, exponent float64) zipf {
	z := zipf{n: float64(n), exponent: exponent}
	z.first, z.last = z.integral(1.5)-1, z.integral(z.n+0.5)
	z.cut = 2 - z.inverse(z.integral(2.5)-z.density(2))
	return z
}

func (z *zipf) of(d *draw) int64 {
	for {
		u := z.last + d.share()*(z.first-z.last)
		x := z.inverse(u)
		k := min(max(math.Round(x), 1), z.n)
		if k-x <= z.cut || u >= z.integral(k+0.5)-z.density(k) {
			return int64(k)
		}
	}
}

func (z *zipf) density(x float64) float64 { return math.Exp(-z.exponent * math.Log(x)) }

// integral of the density, and its inverse; both stay exact where the exponent is near 1.
func (z *zipf) integral(x float64) float64 {
	log := math.Log(x)
	t := (1 - z.exponent) * log
	if math.Abs(t) < 1e-8 {
		return log * (1 + t/2)
	}
	return log * math.Expm1(t) / t
}

func (z *zipf) inverse(x float64) float64 {
	t := max(x*(1-z.exponent), -1)
	if math.Abs(t) < 1e-8 {
		return math.Exp(x * (1 - t/2))
	}
	return math.Exp(x * math.Log1p(t) / t)
}
