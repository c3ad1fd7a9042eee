package event

import (
	"context"
	"sync"
	"time"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
)

const (
	// tailEvents and tailAge bound what a tail keeps. What is kept is also what a stream may still show after it was rewritten
	// (see Rewrite), so it is kept for no longer than streams need that read along.
	tailEvents = 2000
	tailAge    = time.Second
)

// tail is the end of the feed in memory: it reads the table once for all streams that have caught up, whatever they want to
// see of it. It ends with its last stream, or with the first error, which its streams return. Streams that are behind read
// the table themselves, by what they want to see: so does everybody while more is written than a tail should carry.
type tail struct {
	log    *Log
	cancel context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	streams int
	// types counts who wants events of a type; everything, who wants all of them.
	types      map[string]int
	everything int
	// grown counts how often somebody came who wants what was not read before.
	grown int
	// start and end are what kept covers: every event in between that somebody wants. ready tells that there is such a stretch.
	start, end cursor
	ready      bool
	kept       []keptEvent
	err        error
	changed    *broadcast
}

type keptEvent struct {
	ev    *feedv1.Event
	place cursor
	read  time.Time
}

// joinTail makes a stream one of those that are served from the tail, and begins to read when it is the first.
func (l *Log) joinTail(f filter) *tail {
	l.tailMu.Lock()
	defer l.tailMu.Unlock()
	t := l.tail
	if t == nil {
		ctx, cancel := context.WithCancel(context.Background())
		t = &tail{log: l, cancel: cancel, ended: make(chan struct{}), types: map[string]int{}, changed: newBroadcast()}
		l.tail = t
		t.join(f)
		go t.run(ctx)
		return t
	}
	t.join(f)
	return t
}

// leaveTail is the end of a stream. The last one waits until nothing is read any more.
func (l *Log) leaveTail(t *tail, f filter) {
	l.tailMu.Lock()
	last := t.leave(f)
	if last && l.tail == t {
		l.tail = nil
	}
	l.tailMu.Unlock()
	if last {
		t.cancel()
		<-t.ended
	}
}

func (t *tail) join(f filter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams++
	before := len(t.types)
	for _, name := range f.types {
		t.types[name]++
	}
	grown := t.everything == 0 && len(t.types) > before
	if len(f.types) == 0 {
		grown = t.everything == 0
		t.everything++
	}
	if grown {
		t.grown++
		t.coverFrom(t.end)
	}
}

func (t *tail) leave(f filter) (last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams--
	for _, name := range f.types {
		if t.types[name]--; t.types[name] == 0 {
			delete(t.types, name)
		}
	}
	if len(f.types) == 0 {
		t.everything--
	}
	return t.streams == 0
}

// coverFrom forgets what is kept. Whoever is before at reads the table.
func (t *tail) coverFrom(at cursor) {
	t.kept, t.start, t.end = nil, at, at
}

// run reads until the context ends, or an error comes.
func (t *tail) run(ctx context.Context) {
	defer close(t.ended)
	w := newWaiter(ctx, t.log)
	defer w.stop()
	err := t.jump(ctx)
	for err == nil {
		w.look()
		var found int
		var pending bool
		if found, pending, err = t.read(ctx); err == nil {
			err = w.wait(found, pending)
		}
	}
	t.log.tailMu.Lock() // whoever comes now begins anew
	if t.log.tail == t {
		t.log.tail = nil
	}
	t.log.tailMu.Unlock()
	t.mu.Lock()
	t.err = err
	t.mu.Unlock()
	t.changed.wake()
}

// read takes in what is new. found is how many events there were.
func (t *tail) read(ctx context.Context) (found int, pending bool, err error) {
	t.mu.Lock()
	after, grown, want := t.end, t.grown, filter{}
	if t.everything == 0 {
		for name := range t.types {
			want.types = append(want.types, name)
		}
	}
	t.mu.Unlock()
	b, err := t.log.read(ctx, after, want, streamBatch)
	if err != nil {
		return 0, false, err
	}
	if b.full { // a bulk: each stream reads of it what it wants
		return len(b.events), b.pending, t.jump(ctx)
	}
	if b.cursor != after {
		t.add(b, grown)
	}
	return len(b.events), b.pending, nil
}

// jump goes to the end of the feed.
func (t *tail) jump(ctx context.Context) error {
	end, err := t.log.end(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.coverFrom(end)
	t.ready = true
	t.mu.Unlock()
	t.changed.wake()
	return nil
}

func (t *tail) add(b batch, grown int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if grown != t.grown { // read for fewer than there are now
		t.coverFrom(b.cursor)
	} else {
		now := time.Now()
		for i, ev := range b.events {
			t.kept = append(t.kept, keptEvent{ev, b.places[i], now})
		}
		t.end = b.cursor
		old := 0
		for old < len(t.kept) && (len(t.kept)-old > tailEvents || now.Sub(t.kept[old].read) > tailAge) {
			t.start = t.kept[old].place
			old++
		}
		t.kept = append([]keptEvent(nil), t.kept[old:]...)
	}
	t.changed.wake()
}

// after is what the tail shows behind a cursor. covered is false where the table has to be asked. changed is closed when
// there may be more.
func (t *tail) after(at cursor, f filter) (b batch, covered bool, changed <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, changed = batch{cursor: at}, t.changed.waiting()
	if t.err != nil || !t.ready {
		return b, true, changed, t.err
	}
	if at.before(t.start) {
		return b, false, changed, nil
	}
	for _, k := range t.kept {
		if at.before(k.place) && f.wants(k.ev) {
			b.events, b.places = append(b.events, k.ev), append(b.places, k.place)
		}
	}
	if at.before(t.end) {
		b.cursor = t.end
	}
	return b, true, changed, nil
}
