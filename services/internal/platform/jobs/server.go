package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	jobsv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/jobs/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// server implements DeadLetterService.
type server struct {
	jobsv1.UnimplementedDeadLetterServiceServer
	j *Jobs
}

func (j *Jobs) registerServer(r grpc.ServiceRegistrar) {
	jobsv1.RegisterDeadLetterServiceServer(r, &server{j: j})
}

// deadStates are how jobs end for good without being done: out of attempts, or ended by Dead.
var deadStates = []rivertype.JobState{rivertype.JobStateDiscarded, rivertype.JobStateCancelled}

// ListDeadLetters implements DeadLetterService.
func (s *server) ListDeadLetters(ctx context.Context, req *jobsv1.ListDeadLettersRequest) (*jobsv1.ListDeadLettersResponse, error) {
	c := s.j.running()
	if c == nil {
		return nil, problem.Unavailable("the job runner")
	}
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	params := river.NewJobListParams().States(deadStates...).
		OrderBy(river.JobListOrderByID, river.SortOrderDesc).First(limit + 1)
	if req.GetKind() != "" {
		params = params.Kinds(req.GetKind())
	}
	var before int64
	more, err := query.Decode(req.GetPageToken(), &before)
	if err != nil {
		return nil, err
	}
	if more {
		params = params.Where("id < @before", river.NamedArgs{"before": before})
	}
	found, err := c.JobList(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("jobs: list: %w", err)
	}
	rows, next := page.Cut(found.Jobs, limit, func(last *rivertype.JobRow) string { return query.Encode(last.ID) })
	resp := &jobsv1.ListDeadLettersResponse{NextPageToken: next}
	for _, row := range rows {
		resp.DeadLetters = append(resp.DeadLetters, deadLetter(row))
	}
	return resp, nil
}

func deadLetter(row *rivertype.JobRow) *jobsv1.DeadLetter {
	d := &jobsv1.DeadLetter{
		Id: row.ID, Kind: row.Kind, Args: string(row.EncodedArgs), Attempts: int32(row.Attempt),
		CreatedAt: timestamppb.New(row.CreatedAt),
	}
	if n := len(row.Errors); n > 0 {
		d.Error = strings.TrimPrefix(row.Errors[n-1].Error, "JobCancelError: ") // River's word for Dead
	}
	if row.FinalizedAt != nil {
		d.FinalizedAt = timestamppb.New(*row.FinalizedAt)
	}
	return d
}

// ReplayDeadLetter implements DeadLetterService.
func (s *server) ReplayDeadLetter(ctx context.Context, req *jobsv1.ReplayDeadLetterRequest) (*jobsv1.DeadLetter, error) {
	c := s.j.running()
	if c == nil {
		return nil, problem.Unavailable("the job runner")
	}
	row, err := c.JobGet(ctx, req.GetId())
	if errors.Is(err, rivertype.ErrNotFound) {
		return nil, problem.NotFound("dead-letter", strconv.FormatInt(req.GetId(), 10))
	}
	if err != nil {
		return nil, fmt.Errorf("jobs: replay: %w", err)
	}
	if !slices.Contains(deadStates, row.State) {
		return nil, problem.IllegalTransition("job", string(row.State), "replay", nil)
	}
	// Two replays at the same moment do no harm: River leaves a job alone that is at work or waits already.
	if row, err = c.JobRetry(ctx, req.GetId()); err != nil {
		return nil, fmt.Errorf("jobs: replay: %w", err)
	}
	s.j.wakeup.add(row.Queue)
	return deadLetter(row), nil
}
