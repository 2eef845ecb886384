package kraft

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// FreePorts finds n ports of loopback that nobody listens on, outside the range from which the kernel takes ports for
// outgoing connections: a killed node's port stays free until it comes back.
func FreePorts(n int) ([]int, error) {
	ephemeral, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range") // nothing read: Linux's default range
	lo, hi := portsOutside(string(ephemeral))
	var ports []int
	for range 100 * n {
		if len(ports) == n {
			return ports, nil
		}
		port := lo + rand.IntN(hi-lo)
		l, err := net.Listen("tcp", Loopback(port))
		if err != nil {
			continue
		}
		defer l.Close() // held until all are found, so that none is found twice
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("no %d free ports between %d and %d", n, lo, hi)
}

// portsOutside is the larger range of unprivileged ports, lo ≤ port < hi, that the ephemeral range "low high" leaves.
// Where that leaves little, ports are taken from all of them.
func portsOutside(ephemeral string) (lo, hi int) {
	const first, end, enough = 10000, 65536, 1000
	low, high := 32768, 60999
	fmt.Sscan(ephemeral, &low, &high)
	below, above := low-first, end-(high+1)
	switch {
	case max(below, above) < enough:
		return first, end
	case below >= above:
		return first, low
	default:
		return high + 1, end
	}
}

// Loopback is the address of a port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
