package lead

import (
	"context"
	"strconv"
	"strings"
	"time"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// ListLeads implements the contract. Ids are UUIDv7: newest first is by id, which every index ends with.
func (s *Server) ListLeads(ctx context.Context, req *pb.ListLeadsRequest) (*pb.ListLeadsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after string
	more, err := query.Decode(req.GetPageToken(), &after)
	if err != nil {
		return nil, err
	}
	return store.Read(ctx, s.desk.DB, func(tx store.Tx) (*pb.ListLeadsResponse, error) {
		w := filters(req)
		if more {
			w.And("l.id < ?", after)
		}
		sql, args := newest(w, req.GetStates(), limit+1)
		leads, err := selectLeads(ctx, tx, sql, args...)
		if err != nil {
			return nil, err
		}
		leads, next := page.Cut(leads, limit, func(last *Lead) string { return query.Encode(last.ID) })
		now := s.desk.Clock.Now()
		out := &pb.ListLeadsResponse{NextPageToken: next}
		for _, l := range leads {
			out.Leads = append(out.Leads, s.desk.Proto(l, now))
		}
		return out, nil
	})
}

// newest selects the newest n leads. Of several states each gives its newest n by the index on state: asked for all states
// at once, an engine would sort every lead that is in one of them.
func newest(w store.Where, states []pb.Lead_State, n int) (sql string, args []any) {
	end := "ORDER BY l.id DESC LIMIT " + strconv.Itoa(n)
	if len(states) == 1 {
		w.And("l.state = ?", string(stateOf(states[0])))
	}
	if len(states) < 2 {
		return w.Select(selectLead, end)
	}
	parts := make([]string, len(states))
	for i, state := range states {
		arg := w.Arg(string(stateOf(state))) // of the whole statement
		each := w
		each.And("l.state = " + arg)
		sql, args = each.Select("SELECT l.id AS id"+fromLead, end)
		parts[i] = "SELECT id FROM (" + sql + ") s" + strconv.Itoa(i)
	}
	return selectLead + " WHERE l.id IN (" + strings.Join(parts, " UNION ALL ") + ") " + end, args
}

// last is behind every text that begins with what stands before it.
const last = "\U0010FFFF"

// filters are all but the states.
func filters(req *pb.ListLeadsRequest) (w store.Where) {
	if mail := req.GetMail(); mail != "" {
		normal, _ := party.NormalizeMail(mail)
		w.And("p.match_key = ?", "m:"+normal)
	}
	if domain := req.GetCompanyDomain(); domain != "" {
		normal, _ := party.NormalizeDomain(domain)
		w.And("c.match_key = ?", "d:"+normal)
	}
	if channel := req.GetChannel(); channel != "" {
		w.And("l.first_channel = ?", channel)
	}
	if id := req.GetImportId(); id != "" {
		w.And("l.import_id = ?", id)
	}
	if id := req.GetJourneyId(); id != "" {
		w.And("l.journey_id = ?", id)
	}
	if q := req.GetQ(); q != "" {
		mail, company := strings.ToLower(party.Fold(q)), party.CompanyKey(q)
		w.And(`l.id IN (
			SELECT l1.id FROM people p1 JOIN leads l1 ON l1.person_id = p1.id WHERE p1.match_key >= ? AND p1.match_key < ?
			UNION
			SELECT l2.id FROM companies c2 JOIN leads l2 ON l2.company_id = c2.id WHERE c2.name_key >= ? AND c2.name_key < ?)`,
			"m:"+mail, "m:"+mail+last, company, company+last)
	}
	return w
}

// ListLeadTransitions implements the contract.
func (s *Server) ListLeadTransitions(ctx context.Context, req *pb.ListLeadTransitionsRequest) (*pb.ListLeadTransitionsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after int64
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	return store.Read(ctx, s.desk.DB, func(tx store.Tx) (*pb.ListLeadTransitionsResponse, error) {
		if _, err := get(ctx, tx, req.GetId()); err != nil {
			return nil, err
		}
		entries, err := transitions.Page(ctx, tx, req.GetId(), after, limit+1)
		if err != nil {
			return nil, err
		}
		entries, next := page.Cut(entries, limit, func(last history.Entry[State]) string { return query.Encode(last.Seq) })
		out := &pb.ListLeadTransitionsResponse{NextPageToken: next}
		for _, e := range entries {
			out.Transitions = append(out.Transitions, transitionProto(e.Transition))
		}
		return out, nil
	})
}

// ListLeadTouches implements the contract.
func (s *Server) ListLeadTouches(ctx context.Context, req *pb.ListLeadTouchesRequest) (*pb.ListLeadTouchesResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after int64
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	type row struct {
		Seq                       int64
		Channel, Campaign, Action string
		At                        time.Time
	}
	return store.Read(ctx, s.desk.DB, func(tx store.Tx) (*pb.ListLeadTouchesResponse, error) {
		if _, err := get(ctx, tx, req.GetId()); err != nil {
			return nil, err
		}
		rows, err := store.Select[row](ctx, tx, `
			SELECT seq, channel, campaign, action, at FROM lead_touches
			WHERE lead_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`, req.GetId(), after, limit+1)
		if err != nil {
			return nil, err
		}
		rows, next := page.Cut(rows, limit, func(last row) string { return query.Encode(last.Seq) })
		out := &pb.ListLeadTouchesResponse{NextPageToken: next, Touches: []*typev1.Touch{}}
		for _, r := range rows {
			out.Touches = append(out.Touches, touchProto(Touch{r.Channel, r.Campaign, r.Action, r.At}))
		}
		return out, nil
	})
}
