package allinone_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// relay hands leads over, from offer to decision: one desk at each side, all over gRPC. Departments of a split house are
// called directly, those of one process through the gateway.
type relay struct {
	t     testing.TB
	house *house
	// marketing and inside are the two sides, with a token each in the contexts.
	marketing, inside             grpc.ClientConnInterface
	marketingPerson, insidePerson context.Context

	mu    sync.Mutex
	leads []string
	// arrived and decided are closed when the desk of the side shows the handoff's arrival, or its decision.
	arrived, decided map[string]*seen
}

// seen is a moment that somebody waits for.
type seen struct {
	done chan struct{}
	at   time.Time
}

// prefixed calls a department through the gateway.
type prefixed struct {
	grpc.ClientConnInterface
	prefix string
}

func (p prefixed) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return p.ClientConnInterface.Invoke(ctx, p.prefix+method, args, reply, opts...)
}

func (p prefixed) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return p.ClientConnInterface.NewStream(ctx, desc, p.prefix+method, opts...)
}

// dial is a connection to a department.
func (h *house) dial(t testing.TB, department string) grpc.ClientConnInterface {
	t.Helper()
	address := h.addresses[department]
	if address == "" {
		address = strings.TrimPrefix(h.url, "http://")
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if h.addresses[department] == "" {
		return prefixed{conn, "/" + department}
	}
	return conn
}

// as is a context of somebody with a role.
func (h *house) as(t testing.TB, role string) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+h.token(t, role))
}

func newRelay(t testing.TB, h *house) *relay {
	t.Helper()
	r := &relay{
		t: t, house: h, arrived: map[string]*seen{}, decided: map[string]*seen{},
		marketing: h.dial(t, "marketing"), inside: h.dial(t, "inside-sales"),
		marketingPerson: h.as(t, "marketing"), insidePerson: h.as(t, "inside-sales"),
	}
	r.watch(r.insidePerson, r.inside, handoffv1.Box_BOX_INBOX, "HandoffReceived", r.arrived)
	r.watch(r.marketingPerson, r.marketing, handoffv1.Box_BOX_OUTBOX, "HandoffDecisionApplied", r.decided)
	return r
}

// watch notes when a desk shows an event, until the benchmark ends. It returns once the stream is open.
func (r *relay) watch(ctx context.Context, conn grpc.ClientConnInterface, box handoffv1.Box, event string, shown map[string]*seen) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	stream, err := handoffv1.NewHandoffDeskServiceClient(conn).WatchHandoffs(ctx, &handoffv1.WatchHandoffsRequest{Box: box})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // where it begins
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	r.t.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		for {
			change, err := stream.Recv()
			if err != nil {
				return // the benchmark ends, or notices that nothing comes
			}
			if change.GetEvent() == event {
				s := r.awaited(shown, change.GetHandoff().GetId())
				s.at = time.Now()
				close(s.done)
			}
		}
	}()
}

// awaited is the moment of a handoff, whoever asks for it first.
func (r *relay) awaited(of map[string]*seen, id string) *seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	if of[id] == nil {
		of[id] = &seen{done: make(chan struct{})}
	}
	return of[id]
}

func (s *seen) wait(what string) error {
	select {
	case <-s.done:
		return nil
	case <-time.After(time.Minute):
		return errors.New("waited a minute until " + what)
	}
}

// prepare imports leads that wait to be qualified, until there are enough.
func (r *relay) prepare(n int) {
	r.t.Helper()
	r.mu.Lock()
	n -= len(r.leads)
	r.mu.Unlock()
	if n > 0 {
		r.importLeads(n)
		r.house.tidy(r.t)
	}
}

// tidy does at once what PostgreSQL's autovacuum would do in the middle of a window, because of what was imported before it.
func (h *house) tidy(t testing.TB) {
	t.Helper()
	if strings.HasPrefix(h.marketing, "sqlite:") {
		return
	}
	conn, err := pgx.Connect(t.Context(), h.marketing)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), "VACUUM (ANALYZE)")
	if err := errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func (r *relay) importLeads(n int) {
	r.t.Helper()
	c := &restClient{url: r.house.url, token: r.house.token(r.t, "marketing")}
	imported := &marketingv1.LeadImport{}
	c.do(r.t, http.MethodPost, "/marketing/v1/leads:import?filename=bench.csv", "text/csv", leadFile(n), imported)
	await(r.t, "the import is done", 10*time.Millisecond, func() error {
		c.do(r.t, http.MethodGet, "/marketing/v1/lead-imports/"+imported.GetId(), "", nil, imported)
		if imported.GetState() != marketingv1.LeadImport_STATE_DONE {
			return fmt.Errorf("%s, %d rows", imported.GetState(), imported.GetProcessedRows())
		}
		return nil
	})
	req := &marketingv1.ListLeadImportRowsRequest{Id: imported.GetId(), PageSize: 500}
	for {
		rows, err := marketingv1.NewLeadImportServiceClient(r.marketing).ListLeadImportRows(r.marketingPerson, req)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, row := range rows.GetLeadImportRows() {
			r.leads = append(r.leads, row.GetLeadId())
		}
		if req.PageToken = rows.GetNextPageToken(); req.PageToken == "" {
			return
		}
	}
}

func (r *relay) nextLead() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.leads) == 0 {
		return "", errors.New("no lead is left: prepare more")
	}
	id := r.leads[len(r.leads)-1]
	r.leads = r.leads[:len(r.leads)-1]
	return id, nil
}

// handOverMany takes n leads all the way, with one command for all of them at each side, as somebody gives who has marked a page
// of a list.
func (r *relay) handOverMany(n int) error {
	qualify, accept := &marketingv1.BatchQualifyLeadsRequest{}, &handoffv1.BatchAcceptHandoffsRequest{}
	for range n {
		id, err := r.nextLead()
		if err != nil {
			return err
		}
		qualify.Requests = append(qualify.Requests, &marketingv1.QualifyLeadRequest{Id: id})
	}
	leads, err := marketingv1.NewLeadServiceClient(r.marketing).BatchQualifyLeads(r.marketingPerson, qualify)
	if err != nil {
		return err
	}
	for _, o := range leads.GetOutcomes() {
		id := o.GetLead().GetHandoffId()
		if id == "" {
			return fmt.Errorf("a lead was not offered: %v", o.GetError())
		}
		accept.Requests = append(accept.Requests, &handoffv1.AcceptHandoffRequest{Id: id})
	}
	for _, q := range accept.GetRequests() {
		if err := r.awaited(r.arrived, q.GetId()).wait("inside sales sees the offer"); err != nil {
			return err
		}
	}
	accepted, err := handoffv1.NewHandoffDeskServiceClient(r.inside).BatchAcceptHandoffs(r.insidePerson, accept)
	if err != nil {
		return err
	}
	for _, o := range accepted.GetOutcomes() {
		if o.GetHandoff() == nil {
			return fmt.Errorf("a handoff was not accepted: %v", o.GetError())
		}
		if err := r.awaited(r.decided, o.GetHandoff().GetId()).wait("marketing sees the decision"); err != nil {
			return err
		}
	}
	return nil
}

// handed is how long one handoff took: from the answer to the offer until the receiver's desk showed it, and from the answer
// to the decision until the sender's desk showed that.
type handed struct{ offer, decision time.Duration }

// handOver takes one lead all the way: offer, delivery, acceptance, and the decision back at the sender.
func (r *relay) handOver() (handed, error) {
	id, err := r.nextLead()
	if err != nil {
		return handed{}, err
	}
	lead, err := marketingv1.NewLeadServiceClient(r.marketing).QualifyLead(r.marketingPerson, &marketingv1.QualifyLeadRequest{Id: id})
	if err != nil {
		return handed{}, err
	}
	offered := time.Now()
	if lead.GetHandoffId() == "" {
		return handed{}, errors.New("the lead was not offered")
	}
	arrived := r.awaited(r.arrived, lead.GetHandoffId())
	if err := arrived.wait("inside sales sees the offer"); err != nil {
		return handed{}, err
	}
	_, err = handoffv1.NewHandoffDeskServiceClient(r.inside).AcceptHandoff(r.insidePerson, &handoffv1.AcceptHandoffRequest{Id: lead.GetHandoffId()})
	if err != nil {
		return handed{}, err
	}
	accepted := time.Now()
	decided := r.awaited(r.decided, lead.GetHandoffId())
	if err := decided.wait("marketing sees the decision"); err != nil {
		return handed{}, err
	}
	return handed{max(0, arrived.at.Sub(offered)), max(0, decided.at.Sub(accepted))}, nil
}
