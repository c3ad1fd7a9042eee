package customer

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// document keeps a message of the contract in a JSON column. Fields that a later version has added are passed over by an
// older program.
type document[M proto.Message] struct{ m M }

func (d document[M]) MarshalJSON() ([]byte, error) { return protojson.Marshal(d.m) }

func (d *document[M]) UnmarshalJSON(b []byte) error {
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, d.m)
}

func saveDocument(tx store.Tx, customerID string, ho *handoffv1.Handoff, gaps []gap, actor access.Actor, now time.Time) {
	if gaps == nil {
		gaps = []gap{}
	}
	tx.Queue(`INSERT INTO handover_documents (handoff_id, customer_id, journey_id, attempt, document, completeness, gaps,
		accepted_at, actor_kind, actor_id, actor_name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		ho.GetId(), customerID, ho.GetJourneyId(), ho.GetAttempt(), store.JSONOf(document[*handoffv1.ClosedWonPayload]{ho.GetPayload().GetClosedWon()}),
		ho.GetCompleteness().GetScore(), store.JSONOf(gaps), now, string(actor.Kind), actor.ID, actor.Name)
}

func documents(ctx context.Context, tx store.Tx, customerID string) ([]*pb.HandoverDocument, error) {
	rows, err := tx.Query(ctx, `SELECT handoff_id, attempt, document, completeness, gaps, accepted_at, actor_kind, actor_id, actor_name
		FROM handover_documents WHERE customer_id = $1 ORDER BY accepted_at, handoff_id`, customerID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*pb.HandoverDocument
	for rows.Next() {
		p := &pb.HandoverDocument{Document: &handoffv1.ClosedWonPayload{}}
		var raw store.JSON[json.RawMessage]
		var gaps store.JSON[[]gap]
		var at time.Time
		var actor access.Actor
		if err := rows.Scan(&p.HandoffId, &p.Attempt, &raw, &p.Completeness, &gaps, &at, &actor.Kind, &actor.ID, &actor.Name); err != nil {
			return nil, err
		}
		if err := (&document[*handoffv1.ClosedWonPayload]{p.Document}).UnmarshalJSON(raw.V); err != nil {
			return nil, err
		}
		for _, g := range gaps.V {
			p.Gaps = append(p.Gaps, g.proto())
		}
		p.AcceptedAt, p.AcceptedBy = timestamppb.New(at), actor.Proto()
		list = append(list, p)
	}
	return list, rows.Err()
}

// HandoffIDs are the CLOSED_WON handoffs that were accepted for a customer, oldest first.
func HandoffIDs(ctx context.Context, tx store.Tx, customerID string) ([]string, error) {
	return store.Select[string](ctx, tx, `SELECT handoff_id FROM handover_documents WHERE customer_id = $1 ORDER BY accepted_at, handoff_id`, customerID)
}

// saveContact keeps a person at the customer; one without any name or address is nobody.
func saveContact(tx store.Tx, customerID, role string, p *typev1.Person, now time.Time) {
	mail, _ := party.NormalizeMail(p.GetMail())
	name := p.GetName().GetFull()
	if name == "" {
		name = p.GetName().GetFamily() + p.GetName().GetGiven()
	}
	key := p.GetId()
	for _, other := range []string{mail, p.GetPhone(), party.NameKey(name)} {
		if key == "" {
			key = other
		}
	}
	if key == "" {
		return
	}
	tx.Queue(`INSERT INTO customer_contacts (customer_id, role, contact_key, person_id, person, created_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (customer_id, role, contact_key) DO UPDATE SET person = EXCLUDED.person`,
		customerID, role, key, p.GetId(), store.JSONOf(document[*typev1.Person]{p}), now)
}

// mentioned is the role of people who are in what is written of a customer, and are no contacts.
const mentioned = "MENTIONED"

// Mention notes that something that is written of a customer speaks of a person, so that an erasure finds it.
func Mention(tx store.Tx, customerID string, p *typev1.Person, now time.Time) {
	saveContact(tx, customerID, mentioned, p, now)
}

// Contacts are the people that we know at a customer.
func Contacts(ctx context.Context, tx store.Tx, customerID string) ([]*pb.Contact, error) {
	rows, err := tx.Query(ctx, `SELECT role, person, (SELECT c.consents FROM person_consents AS c
		WHERE c.person_id = customer_contacts.person_id) FROM customer_contacts WHERE customer_id = $1
		AND role <> '`+mentioned+`' ORDER BY created_at, role DESC, contact_key`, customerID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*pb.Contact
	for rows.Next() {
		var role string
		var raw store.JSON[json.RawMessage]
		var told store.JSON[[]people.Consent]
		if err := rows.Scan(&role, &raw, &told); err != nil {
			return nil, err
		}
		p := &pb.Contact{Person: &typev1.Person{}, Role: pb.ContactRole(pb.ContactRole_value["CONTACT_ROLE_"+role])}
		p.Consents = people.ConsentsProto(told.V)
		if err := (&document[*typev1.Person]{p.Person}).UnmarshalJSON(raw.V); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}
