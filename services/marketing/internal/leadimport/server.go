package leadimport

import (
	"context"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves LeadImportService.
type Server struct {
	pb.UnimplementedLeadImportServiceServer
	im *Importer
}

// NewServer makes the server.
func NewServer(im *Importer) *Server { return &Server{im: im} }

// ImportLeads implements the contract.
func (s *Server) ImportLeads(ctx context.Context, req *pb.ImportLeadsRequest) (*pb.LeadImport, error) {
	data := req.GetFile().GetData()
	text, encoding, err := decode(data, req.GetEncoding())
	if err != nil {
		return nil, err
	}
	t, err := understand(text)
	if err != nil {
		return nil, err
	}
	i := &Import{
		ID: party.NewID(), Filename: req.GetFilename(), State: Queued, Encoding: encoding, Source: req.GetSource(),
		DryRun: req.GetDryRun(), SizeBytes: int64(len(data)), Total: int64(len(t.rows)), Columns: t.columns,
		CreatedAt: s.im.Clock.Now(), CreatedBy: access.ActorOf(ctx),
	}
	if i.Source == "" {
		i.Source = cut(i.Filename, maxText)
	}
	return store.Write(store.Alone(ctx), s.im.DB, func(tx store.Tx) (*pb.LeadImport, error) {
		insert(tx, i, data)
		err := s.im.Events.Append(ctx, tx, event.Event{
			Subject: subject(i.ID), SubjectVersion: 1, Data: &pb.LeadImportCreated{LeadImport: i.proto()},
		})
		if err != nil {
			return nil, err
		}
		return i.proto(), s.im.Jobs.Insert(ctx, tx, Args{ImportID: i.ID}, jobs.Opts{})
	})
}

// encodingArg is the argument of decode that belongs to the name of an encoding.
func encodingArg(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "shift-jis", "shift_jis")
}

// GetLeadImport implements the contract.
func (s *Server) GetLeadImport(ctx context.Context, req *pb.GetLeadImportRequest) (*pb.LeadImport, error) {
	return store.Read(ctx, s.im.DB, func(tx store.Tx) (*pb.LeadImport, error) {
		i, err := get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		return i.proto(), nil
	})
}

// ListLeadImports implements the contract.
func (s *Server) ListLeadImports(ctx context.Context, req *pb.ListLeadImportsRequest) (*pb.ListLeadImportsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after string
	more, err := query.Decode(req.GetPageToken(), &after)
	if err != nil {
		return nil, err
	}
	return store.Read(ctx, s.im.DB, func(tx store.Tx) (*pb.ListLeadImportsResponse, error) {
		imports, err := list(ctx, tx, more, after, limit+1)
		if err != nil {
			return nil, err
		}
		imports, next := page.Cut(imports, limit, func(last *Import) string { return query.Encode(last.ID) })
		out := &pb.ListLeadImportsResponse{NextPageToken: next}
		for _, i := range imports {
			out.LeadImports = append(out.LeadImports, i.proto())
		}
		return out, nil
	})
}

// ListLeadImportRows implements the contract.
func (s *Server) ListLeadImportRows(ctx context.Context, req *pb.ListLeadImportRowsRequest) (*pb.ListLeadImportRowsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after int64
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	var outcomes []string
	for _, outcome := range req.GetOutcomes() {
		outcomes = append(outcomes, strings.TrimPrefix(outcome.String(), "OUTCOME_"))
	}
	return store.Read(ctx, s.im.DB, func(tx store.Tx) (*pb.ListLeadImportRowsResponse, error) {
		if _, err := get(ctx, tx, req.GetId()); err != nil {
			return nil, err
		}
		rows, err := listRows(ctx, tx, req.GetId(), outcomes, after, limit+1)
		if err != nil {
			return nil, err
		}
		rows, next := page.Cut(rows, limit, func(last rowResult) string { return query.Encode(last.Row) })
		out := &pb.ListLeadImportRowsResponse{NextPageToken: next}
		for _, r := range rows {
			out.LeadImportRows = append(out.LeadImportRows, r.proto())
		}
		return out, nil
	})
}

func (i *Import) proto() *pb.LeadImport {
	out := &pb.LeadImport{
		Id: i.ID, Filename: i.Filename, State: pb.LeadImport_State(pb.LeadImport_State_value["STATE_"+string(i.State)]),
		Encoding: i.Encoding, Source: i.Source, DryRun: i.DryRun, SizeBytes: i.SizeBytes, TotalRows: int32(i.Total),
		ProcessedRows: int32(i.Processed), CreatedCount: int32(i.Created), DuplicateCount: int32(i.Duplicate),
		ExcludedCount: int32(i.Excluded), InvalidCount: int32(i.Invalid), UnknownColumns: unknown(i.Columns),
		CreateTime: timestamppb.New(i.CreatedAt), CreatedBy: i.CreatedBy.Proto(),
	}
	for _, c := range i.Columns {
		out.Columns = append(out.Columns, &pb.ColumnMapping{Column: c.Name, Field: string(c.Field)})
	}
	if i.Error != nil {
		out.Error = &typev1.Label{Ja: i.Error.Ja, En: i.Error.En}
	}
	if i.FinishedAt != nil {
		out.FinishTime = timestamppb.New(*i.FinishedAt)
	}
	return out
}

func (r rowResult) proto() *pb.LeadImportRow {
	return &pb.LeadImportRow{
		Row: int32(r.Row), Line: int32(r.Line), Outcome: pb.LeadImportRow_Outcome(pb.LeadImportRow_Outcome_value["OUTCOME_"+string(r.Outcome)]),
		LeadId: r.LeadID, Problems: issueProtos(r.Problems), Warnings: issueProtos(r.Warnings),
	}
}

func issueProtos(list []issue) []*pb.RowProblem {
	var out []*pb.RowProblem
	for _, i := range list {
		out = append(out, &pb.RowProblem{Column: i.Column, Value: i.Value, Message: &typev1.Label{Ja: i.Ja, En: i.En}})
	}
	return out
}
