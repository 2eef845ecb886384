// Package kraft is what the clusters that kbench makes have in common, whoever runs their nodes: brokers 1 to N and,
// apart from them so that hurting a broker leaves the quorum alone, controllers from 1001 on.
package kraft

import (
	"crypto/rand"
	"encoding/base64"
	"strconv"
)

// The first ids.
const (
	FirstBroker     = 1
	FirstController = 1001
)

// IsController tells a controller's id from a broker's.
func IsController(id int32) bool { return id >= FirstController }

// Name of a node.
func Name(id int32) string {
	if IsController(id) {
		return "controller-" + strconv.Itoa(int(id))
	}
	return "broker-" + strconv.Itoa(int(id))
}

// NewUUID is a random UUID (version 4) in Kafka's spelling, which must not begin with a dash.
func NewUUID() string {
	for {
		var id [16]byte
		rand.Read(id[:])
		id[6] = id[6]&0x0f | 0x40
		id[8] = id[8]&0x3f | 0x80
		if s := base64.RawURLEncoding.EncodeToString(id[:]); s[0] != '-' {
			return s
		}
	}
}
