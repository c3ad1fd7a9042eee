package account

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Book writes accounts and tells the feed.
type Book struct {
	Events *event.Log
	Clock  clock.Clock
}

// Resolve finds the account of a company, or creates it. What a known account lacks is filled; another id of the party
// finds it from now on. created tells which it was.
func (b *Book) Resolve(ctx context.Context, tx store.Tx, c Company, owner, journeyID string) (a *Account, created bool, err error) {
	now := b.Clock.Now()
	a, err = Match(ctx, tx, c.Keys())
	if err != nil {
		return nil, false, err
	}
	if a == nil {
		a = New(c, owner, journeyID, now)
		insertAccount(tx, a)
		return a, true, b.tell(ctx, tx, a, &fieldsalesv1.AccountCreated{Account: a.Proto()})
	}
	if c.ID != "" && c.ID != a.ID {
		insertAlias(tx, c.ID, a.ID, now)
	}
	if domain := c.Keys().Domain; a.Domain == "" && domain != "" {
		// Found by id, while the domain may belong to another account: that one keeps it.
		other, err := Match(ctx, tx, Keys{Domain: domain})
		if err != nil {
			return nil, false, err
		}
		if other != nil {
			c.Domain = ""
		}
	}
	return a, false, b.save(ctx, tx, a, a.Fill(c, owner, now))
}

// Change makes an edit. RESOURCE_EXISTS names the account that has the new name or domain already.
func (b *Book) Change(ctx context.Context, tx store.Tx, a *Account, e Edit) error {
	if err := e.Check(); err != nil {
		return err
	}
	before := *a
	changed := a.Apply(e, b.Clock.Now())
	var keys Keys
	if a.Domain != before.Domain {
		keys.Domain = a.Domain
	}
	if a.Key != before.Key {
		keys.Name = a.Key
	}
	if keys != (Keys{}) {
		other, err := Match(ctx, tx, keys)
		if err != nil {
			return err
		}
		if other != nil && other.ID != a.ID {
			return problem.Exists("account", other.ID)
		}
	}
	return b.save(ctx, tx, a, changed)
}

func (b *Book) save(ctx context.Context, tx store.Tx, a *Account, changed []string) error {
	if len(changed) == 0 {
		return nil
	}
	updateAccount(tx, a)
	return b.tell(ctx, tx, a, &fieldsalesv1.AccountUpdated{Account: a.Proto(), Changed: changed})
}

func (b *Book) tell(ctx context.Context, tx store.Tx, a *Account, data proto.Message) error {
	return b.Events.Append(ctx, tx, event.Event{
		Subject: "account/" + a.ID, SubjectVersion: a.Version, JourneyID: a.JourneyID, Data: data,
	})
}

// Proto is the account as the contract writes it.
func (a *Account) Proto() *fieldsalesv1.Account {
	return &fieldsalesv1.Account{
		Id: a.ID, Name: a.Name, Domain: a.Domain, CompanyKey: a.Key, Industry: a.Industry, Employees: a.Employees,
		Owner: a.Owner, JourneyId: a.JourneyID, Etag: etag.Format(a.Version),
		CreateTime: timestamppb.New(a.CreatedAt), UpdateTime: timestamppb.New(a.UpdatedAt),
	}
}
