// Package bridge offers gRPC services as Connect, gRPC-Web and gRPC over HTTP, from their descriptors alone: a new RPC needs
// no code here.
package bridge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// forwarded are the request headers that travel on to the department.
var forwarded = []string{"authorization", "idempotency-key", "if-match", "x-request-id", "traceparent", "tracestate"}

// Limits bound messages, in bytes as they are when unpacked: those that carry a file, and all others.
type Limits struct{ Body, Upload int }

func (l Limits) of(m protoreflect.MessageDescriptor) int {
	for i := range m.Fields().Len() {
		if f := m.Fields().Get(i); f.Message() != nil && f.Message().FullName() == "google.api.HttpBody" {
			return l.Upload
		}
	}
	return l.Body
}

// compressFrom is the size in bytes from which a message is compressed for a caller who wants that: a smaller one, as most
// of a stream are, costs more to compress than to send.
const compressFrom = 4 << 10

// Register adds every unary and server-streaming method of a service to the mux, forwarding to conn. Messages over the
// limits are refused.
func Register(mux *http.ServeMux, service protoreflect.ServiceDescriptor, conn grpc.ClientConnInterface, limits Limits) {
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		if method.IsStreamingClient() {
			continue // browsers cannot send streams, and no contract has one
		}
		path := "/" + string(service.FullName()) + "/" + string(method.Name())
		opts := []connect.HandlerOption{
			connect.WithSchema(method),
			connect.WithReadMaxBytes(limits.of(method.Input())),
			connect.WithCompressMinBytes(compressFrom),
			connect.WithRequestInitializer(func(spec connect.Spec, message any) error {
				dynamic, ok := message.(*dynamicpb.Message)
				if !ok {
					return nil
				}
				*dynamic = *dynamicpb.NewMessage(method.Input()) //nolint:govet // a fresh message has no state to share
				return nil
			}),
		}
		if method.IsStreamingServer() {
			mux.Handle(path, connect.NewServerStreamHandler(path, serverStream(method, path, conn), opts...))
		} else {
			mux.Handle(path, connect.NewUnaryHandler(path, unary(method, path, conn), opts...))
		}
	}
}

func unary(method protoreflect.MethodDescriptor, path string, conn grpc.ClientConnInterface) func(context.Context, *connect.Request[dynamicpb.Message]) (*connect.Response[dynamicpb.Message], error) {
	return func(ctx context.Context, req *connect.Request[dynamicpb.Message]) (*connect.Response[dynamicpb.Message], error) {
		reply := dynamicpb.NewMessage(method.Output())
		if err := conn.Invoke(outgoing(ctx, req.Header()), path, req.Msg, reply); err != nil {
			return nil, Error(err)
		}
		return connect.NewResponse(reply), nil
	}
}

func serverStream(method protoreflect.MethodDescriptor, path string, conn grpc.ClientConnInterface) func(context.Context, *connect.Request[dynamicpb.Message], *connect.ServerStream[dynamicpb.Message]) error {
	desc := &grpc.StreamDesc{StreamName: string(method.Name()), ServerStreams: true}
	return func(ctx context.Context, req *connect.Request[dynamicpb.Message], out *connect.ServerStream[dynamicpb.Message]) error {
		ctx, cancel := context.WithCancel(outgoing(ctx, req.Header()))
		defer cancel()
		in, err := conn.NewStream(ctx, desc, path)
		if err != nil {
			return Error(err)
		}
		if err := errors.Join(in.SendMsg(req.Msg), in.CloseSend()); err != nil && !errors.Is(err, io.EOF) {
			return Error(err)
		}
		for {
			reply := dynamicpb.NewMessage(method.Output())
			if err := in.RecvMsg(reply); err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return Error(err)
			}
			if err := out.Send(reply); err != nil {
				return err
			}
		}
	}
}

func outgoing(ctx context.Context, h http.Header) context.Context {
	md := metadata.MD{}
	for _, key := range forwarded {
		if v := h.Values(key); len(v) > 0 {
			md[key] = slices.Clone(v)
		}
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// Error turns a gRPC status into a Connect error with the same code, message and details.
func Error(err error) error {
	st := status.Convert(err)
	out := connect.NewError(connect.Code(st.Code()), errors.New(strings.ToValidUTF8(st.Message(), "?")))
	for _, d := range st.Details() {
		m, ok := d.(proto.Message)
		if !ok {
			continue
		}
		if detail, err := connect.NewErrorDetail(m); err == nil {
			out.AddDetail(detail)
		}
	}
	return out
}
