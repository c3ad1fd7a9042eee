package csql

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
)

// proto is the expansion as the contract writes it, without its history.
func (c *Csql) proto() *pb.Csql {
	e := c.Evidence
	p := &pb.Csql{
		Id: c.ID, CustomerId: c.CustomerID, AccountId: c.AccountID, JourneyId: c.JourneyID, Company: c.Company.proto(),
		State: stateProto(c.State), ExpansionType: pb.ExpansionType(pb.ExpansionType_value["EXPANSION_TYPE_"+string(c.Type)]),
		Product: c.Product, ExpectedMrr: c.Expected.Proto(), Health: e.Health.proto(), Usage: e.Usage.proto(), Need: e.Need.proto(),
		CustomerBenefit: e.Benefit, OpenRisks: e.Risks, Cautions: e.Cautions, Owner: c.Owner, HandoffId: c.HandoffID,
		Queue: c.Queue, Reason: c.Reason, Note: c.Note, Missing: c.Missing, OpportunityId: c.OpportunityID,
		WonMrr: c.WonMRR.Proto(), Etag: etag.Format(c.Version), CreateTime: timestamppb.New(c.CreatedAt),
		UpdateTime: timestamppb.New(c.UpdatedAt),
	}
	if c.Action != "" {
		p.Action = handoffv1.Reason_Action(handoffv1.Reason_Action_value["ACTION_"+c.Action])
	}
	if c.WakeAt != nil {
		p.WakeAt = timestamppb.New(*c.WakeAt)
	}
	if _, here := c.next(Update); here {
		p.Unmet = paths(c.Unmet(c.UpdatedAt))
	}
	return p
}

// protoAt is proto with what the expansion lacks by now: evidence grows old.
func (c *Csql) protoAt(now time.Time) *pb.Csql {
	p := c.proto()
	if _, here := c.next(Update); here {
		p.Unmet = paths(c.Unmet(now))
	}
	return p
}

func changed(f Fact, p *pb.Csql) proto.Message {
	t := f.Moved
	return &pb.CsqlStateChanged{
		Csql: p, From: stateProto(t.From), To: stateProto(t.To), Reason: t.Reason, Note: t.Note, At: timestamppb.New(t.At),
	}
}

func stateProto(s State) pb.Csql_State { return pb.Csql_State(pb.Csql_State_value["STATE_"+string(s)]) }

func (c Company) proto() *typev1.Company {
	return &typev1.Company{Id: c.ID, Name: c.Name, Domain: c.Domain, Industry: c.Industry, Employees: c.Employees}
}

func (h *Health) proto() *pb.CsqlHealth {
	if h == nil {
		return nil
	}
	return &pb.CsqlHealth{Score: h.Score, Evidence: h.Evidence, ObservedDate: h.Date.Proto(), StatedBy: h.By.Proto()}
}

func (u *Usage) proto() *pb.CsqlUsage {
	if u == nil {
		return nil
	}
	return &pb.CsqlUsage{
		Level: pb.UsageLevel(pb.UsageLevel_value["USAGE_LEVEL_"+u.Level]), Evidence: u.Evidence, ObservedDate: u.Date.Proto(),
		StatedBy: u.By.Proto(),
	}
}

func (n *Need) proto() *pb.StatedNeed {
	if n == nil {
		return nil
	}
	return &pb.StatedNeed{Statement: n.Statement, StatedBy: n.By.Proto(), StatedDate: n.Date.Proto(), Evidence: n.Evidence}
}

func typeOf(t pb.ExpansionType) Type { return Type(strings.TrimPrefix(t.String(), "EXPANSION_TYPE_")) }

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime().Truncate(time.Microsecond)
}

func timeOrNil(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := timeOf(t)
	return &at
}
