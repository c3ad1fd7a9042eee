package lead

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/marketing/internal/scoring"
)

func etagOf(version int64) string { return etag.Format(version) }

func timeProto(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

func stateProto(s State) pb.Lead_State {
	return pb.Lead_State(pb.Lead_State_value["STATE_"+string(s)])
}

func stateOf(s pb.Lead_State) State { return State(strings.TrimPrefix(s.String(), "STATE_")) }

// Proto is the lead as the contract writes it, with its score at now.
func (d *Desk) Proto(l *Lead, now time.Time) *pb.Lead {
	out := &pb.Lead{
		Id: l.ID, JourneyId: l.JourneyID, State: stateProto(l.State), Person: personProto(l.Person), Company: companyProto(l.Company),
		Source: l.Source, FirstTouch: touchProto(l.First), LastTouch: touchProto(l.Last), TouchCount: int32(l.TouchCount),
		Score: d.scoreProto(l, now), Consents: people.ConsentsProto(l.Person.Consents), QualifyingAction: l.QualifyingAction, Hot: l.Hot,
		Missing: l.Missing, HandoffId: l.HandoffID, RecycleCount: int32(l.RecycleCount), LastReason: l.LastReason,
		ImportId: l.ImportID, Notes: l.Notes, CustomerSignals: signalsProto(l.Signals), Referral: referralProto(l.Referral), Etag: etagOf(l.Version),
		CreateTime: timeProto(l.CreatedAt), UpdateTime: timeProto(l.UpdatedAt),
	}
	if l.WakeAt != nil {
		out.WakeAt = timeProto(*l.WakeAt)
	}
	if e := l.Exclusion; e != nil {
		out.Exclusion = &pb.Exclusion{
			RuleId: e.RuleID, Kind: pb.ExclusionRule_Kind(pb.ExclusionRule_Kind_value["KIND_"+e.Kind]), Domain: e.Domain,
			At: timeProto(e.At), Overturned: e.Overturned, OverturnNote: e.OverturnNote,
		}
	}
	return out
}

func personProto(p Person) *typev1.Person {
	return &typev1.Person{
		Id: p.ID, Mail: p.Mail, Phone: p.Phone, Title: p.Title,
		Name: &typev1.PersonName{
			Family: p.Name.Family, Given: p.Name.Given, FamilyKana: p.Name.FamilyKana, GivenKana: p.Name.GivenKana, Full: p.Name.Full,
		},
	}
}

func personOf(p *typev1.Person) Person {
	n := p.GetName()
	return Person{
		Name: Name{
			Family: n.GetFamily(), Given: n.GetGiven(), FamilyKana: n.GetFamilyKana(), GivenKana: n.GetGivenKana(), Full: n.GetFull(),
		},
		Mail: p.GetMail(), Phone: p.GetPhone(), Title: p.GetTitle(),
	}
}

func companyProto(c Company) *typev1.Company {
	return &typev1.Company{Id: c.ID, Name: c.Name, Domain: c.Domain, Industry: c.Industry, Employees: int32(c.Employees)}
}

func companyOf(c *typev1.Company) Company {
	return Company{Name: c.GetName(), Domain: c.GetDomain(), Industry: c.GetIndustry(), Employees: int(c.GetEmployees())}
}

func touchProto(t Touch) *typev1.Touch {
	return &typev1.Touch{Channel: t.Channel, Campaign: t.Campaign, Action: t.Action, At: timeProto(t.At)}
}

func touchOf(t *typev1.Touch) Touch {
	touch := Touch{Channel: t.GetChannel(), Campaign: t.GetCampaign(), Action: t.GetAction()}
	if t.GetAt() != nil {
		touch.At = t.GetAt().AsTime()
	}
	return touch
}

// scoreProto writes points as whole numbers; fit and behaviour are rounded as wholes.
func (d *Desk) scoreProto(l *Lead, now time.Time) *handoffv1.LeadScore {
	s := l.Score.AtTime(d.Model, now)
	out := &handoffv1.LeadScore{Fit: round(s.FitPoints()), Behaviour: round(s.BehaviourPoints(d.Model))}
	out.Total = out.GetFit() + out.GetBehaviour()
	for _, shares := range [][]scoring.Share{s.Fit, s.Behaviour} {
		for _, share := range shares {
			label := d.Model.Label(share.Rule)
			out.Shares = append(out.Shares, &handoffv1.ScoreShare{
				Rule: share.Rule, Points: round(share.Points), Label: &typev1.Label{Ja: label.Ja, En: label.En},
			})
		}
	}
	return out
}

func round(points float64) int32 { return int32(math.Round(points)) }

// payload is what inside sales must know.
func (d *Desk) payload(l *Lead, now time.Time) *handoffv1.MqlPayload {
	return &handoffv1.MqlPayload{
		Person: personProto(l.Person), Company: companyProto(l.Company), FirstTouch: touchProto(l.First), LastTouch: touchProto(l.Last),
		Score: d.scoreProto(l, now), QualifyingAction: l.QualifyingAction, Consents: people.ConsentsProto(l.Person.Consents),
		RecycleCount: int32(l.RecycleCount), LastRecycleReason: recycleReason(l), Hot: l.Hot, Notes: l.Notes,
	}
}

func recycleReason(l *Lead) string {
	if l.RecycleCount == 0 {
		return ""
	}
	return l.LastReason
}

func transitionProto(t Transition) *typev1.Transition {
	p := t.Proto()
	p.TimeInFrom = durationpb.New(t.InFrom) // leads tell it of the first too
	return p
}

func splitMissing(list string) []string {
	if list == "" {
		return []string{"payload"}
	}
	return strings.Split(list, ",")
}
