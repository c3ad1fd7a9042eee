package rpc

import (
	"context"
	"sync"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// validator compiles the rules of a message when it first meets one, and is shared by all servers of the process.
var validator = sync.OnceValues(func() (protovalidate.Validator, error) { return protovalidate.New() })

func validate(msg any) error {
	m, ok := msg.(proto.Message)
	if !ok {
		return nil
	}
	v, err := validator()
	if err != nil {
		return err
	}
	return v.Validate(m)
}

func validateStep(Options) Step {
	return Step{
		Name: "validate",
		Unary: func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := validate(req); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		},
		Stream: func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			return handler(srv, validatingStream{ss})
		},
	}
}

// validatingStream looks at every message that the client sends.
type validatingStream struct{ grpc.ServerStream }

func (s validatingStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return validate(m)
}
