package usage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Traffic is what a process's TCP sockets have received and sent since it was first looked at: bytes of the streams, as
// they were acknowledged, without headers and repetitions.
type Traffic struct{ In, Out int64 }

// Sockets reads TCP's own byte counts from the kernel (sock_diag) and gives each socket to the process that holds it. What
// a socket carried between the last look and its end is not seen.
type Sockets struct {
	fd     int
	owners map[uint32]int     // by inode; 0: none of the processes looked at
	seen   map[uint32]Traffic // by inode, at the last look
	totals map[int]Traffic    // by process
	began  bool
	buffer []byte
}

// NewSockets opens the way to the kernel.
func NewSockets() (*Sockets, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	patience := unix.Timeval{Usec: 200_000}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		return nil, errors.Join(fmt.Errorf("sock_diag: %w", err), unix.Close(fd))
	}
	return &Sockets{fd: fd, owners: map[uint32]int{}, seen: map[uint32]Traffic{}, totals: map[int]Traffic{}, buffer: make([]byte, 1<<16)}, nil
}

// Close ends it.
func (s *Sockets) Close() error { return unix.Close(s.fd) }

// Look tells what each process has received and sent since the first look, or since it was first among those asked for.
func (s *Sockets) Look(pids []int) (map[int]Traffic, error) {
	now := make(map[uint32]Traffic, len(s.seen))
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if err := s.dump(family, now); err != nil {
			return nil, fmt.Errorf("sock_diag: %w", err)
		}
	}
	s.own(pids, now)
	for inode, after := range now {
		pid, before := s.owners[inode], s.seen[inode] // one that was opened meanwhile began at 0
		if pid == 0 || !s.began {
			continue
		}
		total := s.totals[pid]
		s.totals[pid] = Traffic{total.In + after.In - before.In, total.Out + after.Out - before.Out}
	}
	s.seen, s.began = now, true
	told := make(map[int]Traffic, len(pids))
	for _, pid := range pids {
		told[pid] = s.totals[pid]
	}
	return told, nil
}

// own finds who holds the sockets that are new. It looks through the processes' open files only where there are such.
func (s *Sockets) own(pids []int, now map[uint32]Traffic) {
	for inode := range s.owners {
		if _, open := now[inode]; !open {
			delete(s.owners, inode)
		}
	}
	unknown := false
	for inode := range now {
		if _, known := s.owners[inode]; !known {
			s.owners[inode], unknown = 0, true
		}
	}
	if !unknown {
		return
	}
	for _, pid := range pids {
		for _, inode := range socketsOf(pid) {
			if _, open := now[inode]; open {
				s.owners[inode] = pid
			}
		}
	}
}

// socketsOf are the inodes of a process's sockets.
func socketsOf(pid int) []uint32 {
	root := "/proc/" + strconv.Itoa(pid) + "/fd"
	dir, err := os.Open(root)
	if err != nil {
		return nil
	}
	names, _ := dir.Readdirnames(-1)
	dir.Close()
	var inodes []uint32
	for _, name := range names {
		target, err := os.Readlink(root + "/" + name)
		if err != nil {
			continue
		}
		if number, is := strings.CutPrefix(target, "socket:["); is {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 32); err == nil {
				inodes = append(inodes, uint32(inode))
			}
		}
	}
	return inodes
}

// The kernel's layouts: linux/inet_diag.h, linux/sock_diag.h, linux/tcp.h.
const (
	byFamily      = 20          // SOCK_DIAG_BY_FAMILY
	requestSize   = 16 + 8 + 48 // a netlink head, the request's, a socket's id
	messageSize   = 4 + 48 + 20 // inet_diag_msg
	inodeAt       = 4 + 48 + 16 // within it
	infoAttribute = 2           // INET_DIAG_INFO, a tcp_info
	ackedAt       = 120         // tcpi_bytes_acked
	receivedAt    = 128         // tcpi_bytes_received
	connected     = 1<<1 | 1<<8 // TCP_ESTABLISHED, TCP_CLOSE_WAIT
	closing       = 1<<4 | 1<<5 // TCP_FIN_WAIT1, TCP_FIN_WAIT2
)

func (s *Sockets) dump(family uint8, into map[uint32]Traffic) error {
	request := make([]byte, requestSize)
	native := binary.NativeEndian
	native.PutUint32(request, requestSize)
	native.PutUint16(request[4:], byFamily)
	native.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	request[16], request[17], request[18] = family, unix.IPPROTO_TCP, 1<<(infoAttribute-1)
	native.PutUint32(request[20:], connected|closing)
	if err := unix.Sendto(s.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		done, err := messages(s.buffer[:n], into)
		if done || err != nil {
			return err
		}
	}
}

// messages reads one datagram of a dump, and tells whether it was the last.
func messages(b []byte, into map[uint32]Traffic) (done bool, err error) {
	native := binary.NativeEndian
	for len(b) >= unix.NLMSG_HDRLEN {
		size, kind := int(native.Uint32(b)), native.Uint16(b[4:])
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return false, fmt.Errorf("a message of %d bytes in %d", size, len(b))
		}
		body := b[unix.NLMSG_HDRLEN:size]
		switch kind {
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR:
			if len(body) >= 4 {
				return false, unix.Errno(-int32(native.Uint32(body)))
			}
			return false, errors.New("an error that is not told")
		case byFamily:
			socket(body, into)
		}
		b = b[min(len(b), align(size)):]
	}
	return false, nil
}

// socket reads an inet_diag_msg and the tcp_info behind it; older kernels have a shorter one, without the counts.
func socket(b []byte, into map[uint32]Traffic) {
	native := binary.NativeEndian
	if len(b) < messageSize {
		return
	}
	inode := native.Uint32(b[inodeAt:])
	if inode == 0 {
		return // its process has closed it
	}
	for b = b[messageSize:]; len(b) >= unix.SizeofRtAttr; {
		size := int(native.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return
		}
		if info := b[unix.SizeofRtAttr:size]; native.Uint16(b[2:]) == infoAttribute && len(info) >= receivedAt+8 {
			into[inode] = Traffic{In: int64(native.Uint64(info[receivedAt:])), Out: int64(native.Uint64(info[ackedAt:]))}
		}
		b = b[min(len(b), align(size)):]
	}
}

func align(size int) int { return (size + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }
