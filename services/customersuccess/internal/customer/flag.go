package customer

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Reasons of flags.
const (
	handoverLate = "HANDOVER_LATE"
	kickoffLate  = "KICKOFF_LATE"
)

// flag is a reason to look at a customer: a clock of its handover ran out. An attempt of a handoff raises each reason once.
type flag struct {
	HandoffID string
	Attempt   int64
	Reason    string
	DueAt     time.Time
	RaisedAt  time.Time
	ClearedAt *time.Time
	ActorKind string
	ActorID   string
	ActorName string
	Note      string
}

func (f flag) proto() *pb.CustomerFlag {
	p := &pb.CustomerFlag{
		Reason: pb.CustomerFlag_Reason(pb.CustomerFlag_Reason_value["REASON_"+f.Reason]), HandoffId: f.HandoffID,
		DueAt: timestamppb.New(f.DueAt), RaisedAt: timestamppb.New(f.RaisedAt), Note: f.Note,
	}
	if f.ClearedAt != nil {
		p.ClearedAt = timestamppb.New(*f.ClearedAt)
		p.ClearedBy = access.Actor{Kind: access.Kind(f.ActorKind), ID: f.ActorID, Name: f.ActorName}.Proto()
	}
	return p
}

// flags are all flags that a customer ever had, oldest first.
func flags(ctx context.Context, tx store.Tx, customerID string) ([]flag, error) {
	return store.Select[flag](ctx, tx, `SELECT handoff_id, attempt, reason, due_at, raised_at, cleared_at, actor_kind, actor_id,
		actor_name, note FROM customer_flags WHERE customer_id = $1 ORDER BY raised_at, handoff_id, attempt, reason`, customerID)
}

// Breached flags, in the transaction in which a clock of a CLOSED_WON handoff runs out, the customer that it is about. An
// offer that nobody has taken yet mostly has none: then the customer is flagged when it is made.
func (h *Handovers) Breached(ctx context.Context, tx store.Tx, ho *handoffv1.Handoff, clock handoffv1.Clock, due time.Time) error {
	c, err := h.known(ctx, tx, ho)
	if err != nil || c == nil {
		return err
	}
	f := flag{HandoffID: ho.GetId(), Attempt: int64(ho.GetAttempt()), Reason: handoverLate, DueAt: due, RaisedAt: h.clock.Now()}
	if clock == handoffv1.Clock_CLOCK_FIRST_ACTION {
		f.Reason = kickoffLate
	}
	facts, err := c.raise(ctx, tx, f)
	if err != nil || len(facts) == 0 {
		return err
	}
	if err := h.customers.Save(ctx, tx, c, facts...); err != nil {
		return err
	}
	insertFlag(tx, c.ID, f)
	return nil
}

// late is the flag of a handoff that is accepted after its time; false when it is in time.
func late(ho *handoffv1.Handoff, now time.Time) (flag, bool) {
	due := ho.GetAcceptDueAt()
	if due == nil || ho.GetBreaches() == 0 {
		return flag{}, false
	}
	return flag{
		HandoffID: ho.GetId(), Attempt: int64(ho.GetAttempt()), Reason: handoverLate, DueAt: due.AsTime(), RaisedAt: now,
	}, true
}

// known is the customer that a handoff is about, to change it; nil when there is none yet.
func (h *Handovers) known(ctx context.Context, tx store.Tx, ho *handoffv1.Handoff) (*Customer, error) {
	doc := ho.GetPayload().GetClosedWon()
	id, made := strings.CutPrefix(ho.GetReceiverSubject(), Subject(""))
	if !made {
		id = doc.GetCustomerId()
	}
	if id != "" {
		c, err := h.customers.ForUpdate(ctx, tx, id, etag.Match(""))
		if !errors.Is(err, problem.NotFound("", "")) {
			return c, err
		}
	}
	return h.customers.ForDeal(ctx, tx, accountOf(ho), ho.GetJourneyId())
}

func accountOf(ho *handoffv1.Handoff) string {
	if ho.GetAccountId() != "" {
		return ho.GetAccountId()
	}
	return ho.GetPayload().GetClosedWon().GetCompany().GetId()
}

// raise adds a flag that is not there yet, and tells of it. The row is written by insertFlag, once the customer is.
func (c *Customer) raise(ctx context.Context, tx store.Tx, f flag) ([]Fact, error) {
	have, err := flags(ctx, tx, c.ID)
	if err != nil {
		return nil, err
	}
	for _, other := range have {
		if other.HandoffID == f.HandoffID && other.Attempt == f.Attempt && other.Reason == f.Reason {
			return nil, nil
		}
	}
	c.touch(f.RaisedAt)
	c.OpenFlags++
	return []Fact{{Data: &pb.CustomerFlagged{CustomerId: c.ID, AccountId: c.AccountID, Flag: f.proto()}}}, nil
}

func insertFlag(tx store.Tx, customerID string, f flag) {
	tx.Queue(`INSERT INTO customer_flags (customer_id, handoff_id, attempt, reason, due_at, raised_at, actor_kind, actor_id,
		actor_name, note) VALUES ($1, $2, $3, $4, $5, $6, '', '', '', '')`,
		customerID, f.HandoffID, f.Attempt, f.Reason, f.DueAt, f.RaisedAt)
}

// ClearCustomerFlags implements CustomerService.
func (s *Server) ClearCustomerFlags(ctx context.Context, req *pb.ClearCustomerFlagsRequest) (*pb.Customer, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Customer, error) {
		c, err := s.customers.ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		if c.OpenFlags == 0 {
			return nil, problem.GuardNotMet("clearFlags", "flagged")
		}
		list, err := flags(ctx, tx, c.ID)
		if err != nil {
			return nil, err
		}
		now, actor := s.clock.Now(), access.ActorOf(ctx)
		var facts []Fact
		for _, f := range list {
			if f.ClearedAt != nil {
				continue
			}
			f.ClearedAt, f.Note = &now, req.GetNote()
			f.ActorKind, f.ActorID, f.ActorName = string(actor.Kind), actor.ID, actor.Name
			facts = append(facts, Fact{Data: &pb.CustomerFlagCleared{CustomerId: c.ID, AccountId: c.AccountID, Flag: f.proto()}})
		}
		tx.Queue(`UPDATE customer_flags SET cleared_at = $2, actor_kind = $3, actor_id = $4, actor_name = $5, note = $6
			WHERE customer_id = $1 AND cleared_at IS NULL`, c.ID, now, string(actor.Kind), actor.ID, actor.Name, req.GetNote())
		c.OpenFlags = 0
		if err := s.customers.Save(ctx, tx, c, facts...); err != nil {
			return nil, err
		}
		return s.full(ctx, tx, c)
	})
}
