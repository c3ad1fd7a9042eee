package jobs

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Jobs is the durable work of one service. It is safe for concurrent use.
type Jobs struct{}

type deadError struct{ error }

type againError struct{ d time.Duration }

func (againError) Error() string { return "again" }

func newJobs(*store.DB, Config) *Jobs                                  { panic("being written") }
func (j *Jobs) start(context.Context) error                            { panic("being written") }
func (j *Jobs) stop(context.Context) error                             { panic("being written") }
func (j *Jobs) insert(context.Context, store.Tx, Args, Opts) error     { panic("being written") }
func (j *Jobs) registerServer(grpc.ServiceRegistrar)                   { panic("being written") }
func migrate(context.Context, *store.DB) error                         { panic("being written") }
func schemaStatus(context.Context, *store.DB) (store.SetStatus, error) { panic("being written") }
func register[T Args](*Jobs, Worker[T])                                { panic("being written") }
