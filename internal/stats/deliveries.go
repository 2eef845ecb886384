package stats

import "github.com/kbench/kbench/internal/history"

// deliveries joins the sends of records with their first delivery, whichever of the two comes first in the history. It
// keeps eight bytes for a record of which only one is known yet; a page of records that are all joined is given back.
type deliveries struct {
	sessions map[session]*[]*page
	key      session // the session asked last, and its pages
	pages    *[]*page
	free     []*page
	complete page // stands for each page of which every record is joined
}

type session struct{ producer, session int32 }

const pageSize = 4096

// page holds for each of pageSize consecutive records: 0 while nothing is known, the send's call plus one, minus the
// delivery less one, or joined.
type page struct {
	slots [pageSize]int64
	open  int // slots that are not joined
}

const joined = -never - 1

func newDeliveries() *deliveries { return &deliveries{sessions: map[session]*[]*page{}} }

// sent tells when a record's first send was invoked. Where its delivery is known already, it returns that.
func (d *deliveries) sent(v history.Value, call int64) (delivered int64, known bool) {
	p, slot := d.slot(v)
	if p == nil || *slot > 0 || *slot == joined {
		return 0, false
	}
	if *slot < 0 {
		delivered = -*slot - 1
		d.join(v, p, slot)
		return delivered, true
	}
	*slot = call + 1
	return 0, false
}

// delivered tells when a record was delivered. first is false for each delivery but the first; known says whether the call
// of its send is known already.
func (d *deliveries) delivered(v history.Value, at int64) (call int64, known, first bool) {
	p, slot := d.slot(v)
	if p == nil || *slot < 0 { // joined is negative, too
		return 0, false, false
	}
	if *slot == 0 {
		*slot = -at - 1
		return 0, false, true
	}
	call = *slot - 1
	d.join(v, p, slot)
	return call, true, true
}

func (d *deliveries) join(v history.Value, p *page, slot *int64) {
	*slot = joined
	if p.open--; p.open == 0 {
		(*d.pages)[v.Seq/pageSize] = &d.complete
		d.free = append(d.free, p)
	}
}

// slot finds a record's place; nil where its page is complete.
func (d *deliveries) slot(v history.Value) (*page, *int64) {
	if key := (session{v.Producer, v.Session}); d.pages == nil || key != d.key {
		d.key, d.pages = key, d.sessions[key]
		if d.pages == nil {
			d.pages = new([]*page)
			d.sessions[key] = d.pages
		}
	}
	n := int(v.Seq / pageSize)
	for n >= len(*d.pages) {
		*d.pages = append(*d.pages, nil)
	}
	p := (*d.pages)[n]
	switch p {
	case &d.complete:
		return nil, nil
	case nil:
		p = d.newPage()
		(*d.pages)[n] = p
	}
	return p, &p.slots[v.Seq%pageSize]
}

func (d *deliveries) newPage() *page {
	if len(d.free) == 0 {
		return &page{open: pageSize}
	}
	p := d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	*p = page{open: pageSize}
	return p
}
