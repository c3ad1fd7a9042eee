package sim

import (
	"context"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
)

var (
	errLost = status.Error(codes.Unavailable, "sim: the connection broke")
	errSlow = status.Error(codes.DeadlineExceeded, "sim: no answer in time")
)

// request is a message on its way.
type request struct {
	from, to *process
	method   string
	args     proto.Message
}

// conn is how one process reaches another.
type conn struct{ from, to *process }

var _ grpc.ClientConnInterface = (*conn)(nil)

// Invoke implements grpc.ClientConnInterface. A job's call waits here until the schedule says what becomes of it; the
// reading of a feed goes through at once.
func (c *conn) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	r := &request{from: c.from, to: c.to, method: method, args: proto.Clone(args.(proto.Message))}
	var answer any
	var err error
	if run, _ := ctx.Value(runKey{}).(*run); run != nil {
		answer, err = run.wait(r)
	} else {
		answer, err = c.from.w.execute(r)
	}
	if err != nil {
		return err
	}
	proto.Merge(reply.(proto.Message), answer.(proto.Message))
	return nil
}

// NewStream implements grpc.ClientConnInterface.
func (c *conn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "sim: no streams")
}

// execute lets a request arrive.
func (w *World) execute(r *request) (answer any, err error) {
	if w.cut[[2]int{r.from.i, r.to.i}] {
		w.met["message: cut"]++
		return nil, errLost
	}
	if w.plant.Request != nil {
		if batch, ok := r.args.(*handoffv1.BatchOfferRequest); ok {
			for _, o := range batch.GetOffers() {
				w.plant.Request(&handoffv1.OfferRequest{Handoff: o.GetHandoff()})
			}
		}
		w.plant.Request(r.args)
	}
	by := access.Actor{Kind: access.KindService, ID: "service:" + r.from.name().String()}
	if died := w.living(r.to, func() { answer, err = r.to.servers.call(w.ctx, by, r.method, r.args) }); died {
		return nil, errLost
	}
	return answer, err
}

type runKey struct{}

// run is a job at work. It is a coroutine that stops wherever the job calls another department.
type run struct {
	p    *process
	next func() (struct{}, bool)
	stop func()

	yield func(struct{}) bool
	// request is the one that waits; executed tells that its answer is on the way back.
	request  *request
	executed bool
	answer   any
	err      error
}

// killed unwinds a job whose process died.
type killed struct{}

// wait hands a request to the network.
func (r *run) wait(req *request) (any, error) {
	r.request, r.executed, r.answer, r.err = req, false, nil, nil
	if !r.yield(struct{}{}) {
		panic(killed{})
	}
	return r.answer, r.err
}

// begin runs a job up to its first call, or to its end.
func (w *World) begin(p *process, job jobs.Waiting, forget bool) *run {
	runner := p.jobs
	return w.spawn(p, func(ctx context.Context) {
		if w.plant.Lose != "" && job.Kind == w.plant.Lose {
			_ = runner.Complete(ctx, job.ID) // what is planted cannot fail for long
			return
		}
		err := runner.Work(ctx, job.ID)
		if w.plant.Work != nil {
			err = w.plant.Work(err)
		}
		if err == nil && !forget {
			_ = runner.Complete(ctx, job.ID) // a job whose end is not noted runs again
		}
		w.lastWork = err
	})
}

// spawn runs work of a process up to its first call, or to its end.
func (w *World) spawn(p *process, work func(ctx context.Context)) *run {
	r := &run{p: p}
	r.next, r.stop = iter.Pull(func(yield func(struct{}) bool) {
		r.yield = yield
		defer func() {
			if v := recover(); v != nil && v != any(killed{}) && w.sleeves.crashing == nil {
				panic(v)
			}
		}()
		work(context.WithValue(w.ctx, runKey{}, r))
	})
	w.runs = append(w.runs, r)
	w.resume(r)
	return r
}

// resume goes on with a job until its next call, or its end.
func (w *World) resume(r *run) {
	if _, alive := r.next(); alive {
		return
	}
	w.remove(r)
	if w.sleeves.crashing == r.p {
		w.restart(r.p, true)
	}
}

func (w *World) remove(r *run) {
	for i := range w.runs {
		if w.runs[i] == r {
			w.runs = append(w.runs[:i:i], w.runs[i+1:]...)
			return
		}
	}
}

func (w *World) open(r *run) bool {
	for _, o := range w.runs {
		if o == r {
			return true
		}
	}
	return false
}

// decide says what becomes of the message of a run: of the request, or of the answer where it was executed.
func (w *World) decide(r *run, how string) {
	switch {
	case r.executed && how == lose:
		w.met["message: answer lost"]++
		r.answer, r.err = nil, errLost
		w.resume(r)
	case r.executed:
		if w.cut[[2]int{r.p.i, r.request.to.i}] {
			r.answer, r.err = nil, errLost
		}
		w.resume(r)
	case how == lose:
		w.met["message: request lost"]++
		r.err = errLost
		w.resume(r)
	case how == late:
		w.strays = append(w.strays, r.request)
		r.err = errSlow
		w.resume(r)
	default:
		if how == twice {
			w.met["message: twice"]++
			_, _ = w.execute(r.request) // the answer to the second one counts
		}
		r.answer, r.err = w.execute(r.request)
		r.executed = true
	}
}

// through brings a run to its end, with the same for each of its calls.
func (w *World) through(r *run, how string) {
	for range 100 {
		if !w.open(r) {
			return
		}
		switch {
		case how == deaf && r.executed:
			w.decide(r, lose)
		case how == deaf, r.executed:
			w.decide(r, pass)
		default:
			w.decide(r, how)
		}
	}
	w.fail("a job does not end", "job of %s calls without end", r.p.name())
}
