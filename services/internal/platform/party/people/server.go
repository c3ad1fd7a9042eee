package people

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves ContactService from a book.
type Server struct {
	partyv1.UnimplementedContactServiceServer
	Book *Book
}

// GetContactPermissions implements the contract.
func (s *Server) GetContactPermissions(ctx context.Context, req *partyv1.GetContactPermissionsRequest) (*partyv1.ContactPermissions, error) {
	return store.Read(ctx, s.Book.DB, func(tx store.Tx) (*partyv1.ContactPermissions, error) {
		id, err := s.Book.Resolve(ctx, tx, strings.ToLower(req.GetPersonId()))
		if err != nil {
			return nil, err
		}
		gone, err := s.Book.Erased(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		consents, err := s.Book.of(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		return permissions(id, gone, consents), nil
	})
}

// of are the consents of one person.
func (b *Book) of(ctx context.Context, tx store.Tx, id string) ([]Consent, error) {
	if b.Own != nil {
		return b.Own(ctx, tx, id)
	}
	all, err := b.Consents(ctx, tx, id)
	return all[id], err
}

func permissions(id string, gone bool, consents []Consent) *partyv1.ContactPermissions {
	out := &partyv1.ContactPermissions{PersonId: id, Erased: gone}
	channels := []string{Mail, Phone}
	for _, c := range consents {
		if !slices.Contains(channels, c.Channel) {
			channels = append(channels, c.Channel)
		}
	}
	slices.Sort(channels)
	for _, channel := range channels {
		p := &partyv1.ChannelPermission{
			Channel: channel, Allowed: !gone && Allowed(consents, channel), Word: partyv1.ChannelPermission_WORD_NONE,
		}
		for _, c := range consents {
			if c.Channel != channel {
				continue
			}
			p.Word, p.Basis, p.At = partyv1.ChannelPermission_WORD_WITHDRAWN, c.Basis, timestamppb.New(c.At)
			if c.Granted {
				p.Word = partyv1.ChannelPermission_WORD_GRANTED
			}
		}
		out.Channels = append(out.Channels, p)
	}
	return out
}
