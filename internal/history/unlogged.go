package history

import (
	"cmp"
	"maps"
	"slices"
)

// unlogged are sends that no log tells of, though they were made: records that readers got, of sessions whose logs end
// too early, beyond everything in those logs. They come as indeterminate sends, in order of their values, after the
// history's last operation. Most histories have none.
func (h *History) unlogged() ([]Op, error) {
	type session struct{ producer, number int32 }
	highest := map[session]int64{} // sequence in the log, of each session whose log is not whole
	for i, c := range h.Header.Clients {
		torn := slices.ContainsFunc(h.Tears, func(t Tear) bool { return int(t.Client) == i })
		if p := slices.Index(h.Header.Producers, c.Name); p >= 0 && (torn || !h.Sessions[i].Closed) {
			highest[session{int32(p), c.Session}] = -1
		}
	}
	if len(highest) == 0 {
		return nil, nil
	}
	last := int64(0)
	err := h.Each(func(op *Op) error {
		last = max(last, op.Return)
		of := session{op.Value.Producer, op.Value.Session}
		if seq, open := highest[of]; open && op.Kind == Send {
			highest[of] = max(seq, op.Value.Seq)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := map[Value]Op{}
	err = h.Each(func(op *Op) error {
		for _, r := range op.Records {
			seq, open := highest[session{r.Value.Producer, r.Value.Session}]
			if open && r.Value.Seq > seq && r.Flags&Foreign == 0 {
				found[r.Value] = h.unloggedSend(r.Value, op.Partition)
			}
		}
		return nil
	})
	list := slices.SortedFunc(maps.Values(found), func(a, b Op) int {
		return cmp.Or(cmp.Compare(a.Value.Producer, b.Value.Producer), cmp.Compare(a.Value.Session, b.Value.Session), cmp.Compare(a.Value.Seq, b.Value.Seq))
	})
	for i := range list { // their calls keep their order
		list[i].Call = last + int64(i)
		list[i].Return = list[i].Call
	}
	return list, err
}

func (h *History) unloggedSend(v Value, partition int32) Op {
	client := slices.Index(h.Header.Clients, Client{h.Header.Producers[v.Producer], v.Session})
	return Op{
		Kind: Send, Client: int32(client), Value: v, Attempt: 1, Partition: partition, Intended: Unknown, Offset: Unknown,
		FromPartition: Unknown, FromOffset: Unknown, Generation: Unknown,
	}
}
