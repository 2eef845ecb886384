package history

import (
	"strconv"
	"strings"
)

// Names in JSON Lines. A value is client/session/seq, a client is its name (and /session from the second session on),
// a transaction is t and its number. Other names that people write stand in tables of the header: a value then has
// the producer "", session 0 and its place in the table as Seq; a transaction's number is its place after opaqueTxn.
const opaqueTxn = 1 << 62

// ValueName is the value as it stands in JSON Lines, "" for a value of nobody.
func (h *Header) ValueName(v Value) string {
	if v.Producer < 0 || int(v.Producer) >= len(h.Producers) {
		return ""
	}
	name := h.Producers[v.Producer]
	if name == "" {
		if v.Seq < 0 || v.Seq >= int64(len(h.Values)) {
			return ""
		}
		return h.Values[v.Seq]
	}
	b := make([]byte, 0, len(name)+24)
	b = append(b, name...)
	b = append(b, '/')
	b = strconv.AppendInt(b, int64(v.Session), 10)
	b = append(b, '/')
	b = strconv.AppendInt(b, v.Seq, 10)
	return string(b)
}

// ClientName is the name of a session, "" for none.
func (h *Header) ClientName(client int32) string {
	if client < 0 || int(client) >= len(h.Clients) {
		return ""
	}
	c := h.Clients[client]
	if c.Session <= 1 {
		return c.Name
	}
	return c.Name + "/" + strconv.Itoa(int(c.Session))
}

// PartitionName is "topic/number", "" for none.
func (h *Header) PartitionName(p int32) string {
	if p < 0 || int(p) >= len(h.Partitions) {
		return ""
	}
	return h.Partitions[p]
}

// Topic of a partition, "" for none.
func (h *Header) Topic(p int32) string { return topicOf(h.PartitionName(p)) }

func topicOf(partition string) string {
	return partition[:max(strings.LastIndexByte(partition, '/'), 0)]
}

// TxnName is the name of a client's transaction, "" for none.
func (h *Header) TxnName(txn uint64) string {
	if i := txn - opaqueTxn; txn >= opaqueTxn && i < uint64(len(h.Txns)) {
		return h.Txns[i]
	}
	if txn == 0 {
		return ""
	}
	return "t" + strconv.FormatUint(txn, 10)
}

// splitNumber splits name/number where the number is written as it would be printed and is at least least.
func splitNumber(s string, bits int, least int64) (name string, n int64, ok bool) {
	slash := strings.LastIndexByte(s, '/')
	if slash <= 0 {
		return "", 0, false
	}
	n, ok = canonical(s[slash+1:], bits)
	return s[:slash], n, ok && n >= least
}

// canonical reads a number that is written just as it would be printed.
func canonical(s string, bits int) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil || len(s) > 1 && s[0] == '0' || s[0] == '+' || s[0] == '-' {
		return 0, false
	}
	return n, true
}

// table numbers names in the order in which they are met.
type table struct {
	names []string
	index map[string]int32
}

func (t *table) add(name string) int32 {
	if i, ok := t.index[name]; ok {
		return i
	}
	if t.index == nil {
		t.index = map[string]int32{}
	}
	i := int32(len(t.names))
	t.names = append(t.names, name)
	t.index[name] = i
	return i
}

// names turns the names of JSON Lines into numbers.
type names struct {
	partitions, producers, clients, values, txns table
}

func (n *names) value(s string) Value {
	if rest, seq, ok := splitNumber(s, 64, 0); ok {
		if name, session, ok := splitNumber(rest, 32, 1); ok {
			return Value{n.producers.add(name), int32(session), seq}
		}
	}
	return Value{n.producers.add(""), 0, int64(n.values.add(s))}
}

func (n *names) txn(s string) uint64 {
	if len(s) > 1 && s[0] == 't' {
		if i, ok := canonical(s[1:], 63); ok && i > 0 && i < opaqueTxn {
			return uint64(i)
		}
	}
	return opaqueTxn + uint64(n.txns.add(s))
}

// sessions are the clients met, in the form of the header.
func (n *names) sessions() []Client {
	all := make([]Client, len(n.clients.names))
	for i, s := range n.clients.names {
		all[i] = Client{s, 1}
		if name, session, ok := splitNumber(s, 32, 2); ok {
			all[i] = Client{name, int32(session)}
		}
	}
	return all
}
