// Package rpctest is a service for tests of the plumbing: one method per access rule, with handlers that the test gives.
// Its contract is built at run time, so that no contract of the product has to serve as a test's example.
package rpctest

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	accessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/access/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

// Service is the full name of the service.
const Service = "tasuki.rpctest.v1.RelayService"

// The unary methods, from tasuki.type.v1.Person to the same.
const (
	Public     = "/" + Service + "/OpenDoor"      // AUDIENCE_PUBLIC
	Get        = "/" + Service + "/GetPerson"     // AUDIENCE_STAFF
	Roles      = "/" + Service + "/ReviewPerson"  // AUDIENCE_ROLES: MARKETING and SERVICE
	Department = "/" + Service + "/CreatePerson"  // AUDIENCE_DEPARTMENT
	Services   = "/" + Service + "/DeliverPerson" // AUDIENCE_SERVICE
	NoRule     = "/" + Service + "/ForgetPerson"  // none
)

// The streams of the same messages.
const (
	Watch  = "/" + Service + "/WatchPeople"  // server stream, AUDIENCE_STAFF
	Upload = "/" + Service + "/UploadPeople" // client stream, AUDIENCE_DEPARTMENT
)

func rule(a accessv1.Audience, roles ...accessv1.Role) *accessv1.Rule {
	return &accessv1.Rule{Audience: a, Roles: roles}
}

func init() {
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("tasuki/rpctest/v1/rpctest.proto"), Package: proto.String("tasuki.rpctest.v1"),
		Syntax: proto.String("proto3"), Dependency: []string{"tasuki/type/v1/type.proto", "tasuki/access/v1/access.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("RelayService"),
			Method: []*descriptorpb.MethodDescriptorProto{
				method("OpenDoor", rule(accessv1.Audience_AUDIENCE_PUBLIC)),
				method("GetPerson", rule(accessv1.Audience_AUDIENCE_STAFF)),
				method("ReviewPerson", rule(accessv1.Audience_AUDIENCE_ROLES,
					accessv1.Role_ROLE_MARKETING, accessv1.Role_ROLE_SERVICE)),
				method("CreatePerson", rule(accessv1.Audience_AUDIENCE_DEPARTMENT)),
				method("DeliverPerson", rule(accessv1.Audience_AUDIENCE_SERVICE)),
				method("ForgetPerson", nil),
				stream(method("WatchPeople", rule(accessv1.Audience_AUDIENCE_STAFF)), false, true),
				stream(method("UploadPeople", rule(accessv1.Audience_AUDIENCE_DEPARTMENT)), true, false),
			},
		}},
	}
	d, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err == nil {
		err = protoregistry.GlobalFiles.RegisterFile(d)
	}
	if err != nil {
		panic(err) // the contract above is wrong
	}
}

func method(name string, r *accessv1.Rule) *descriptorpb.MethodDescriptorProto {
	opts := &descriptorpb.MethodOptions{}
	if r != nil {
		proto.SetExtension(opts, accessv1.E_Rule, r)
	}
	return &descriptorpb.MethodDescriptorProto{
		Name: proto.String(name), Options: opts,
		InputType: proto.String(".tasuki.type.v1.Person"), OutputType: proto.String(".tasuki.type.v1.Person"),
	}
}

func stream(m *descriptorpb.MethodDescriptorProto, client, server bool) *descriptorpb.MethodDescriptorProto {
	m.ClientStreaming, m.ServerStreaming = proto.Bool(client), proto.Bool(server)
	return m
}

// Handlers answer the calls; a nil Unary echoes the request.
type Handlers struct {
	Unary  func(ctx context.Context, method string, req *typev1.Person) (*typev1.Person, error)
	Watch  func(req *typev1.Person, ss grpc.ServerStream) error
	Upload func(ss grpc.ServerStream) error
}

// Desc describes the service, whose implementation is a *Handlers; the method without a rule is left out unless asked for.
func Desc(withNoRule bool) *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{
		ServiceName: Service,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{
			{StreamName: "WatchPeople", ServerStreams: true, Handler: func(srv any, ss grpc.ServerStream) error {
				req := &typev1.Person{}
				if err := ss.RecvMsg(req); err != nil {
					return err
				}
				return srv.(*Handlers).Watch(req, ss)
			}},
			{StreamName: "UploadPeople", ClientStreams: true, Handler: func(srv any, ss grpc.ServerStream) error {
				return srv.(*Handlers).Upload(ss)
			}},
		},
	}
	for _, name := range []string{Public, Get, Roles, Department, Services, NoRule} {
		if name == NoRule && !withNoRule {
			continue
		}
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name[len(Service)+2:], Handler: unary(name)})
	}
	return desc
}

func unary(name string) func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
	return func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		req := &typev1.Person{}
		if err := decode(req); err != nil {
			return nil, err
		}
		handle := func(ctx context.Context, req any) (any, error) {
			p := req.(*typev1.Person)
			if h := srv.(*Handlers); h.Unary != nil {
				return h.Unary(ctx, name, p)
			}
			return p, nil
		}
		if intercept == nil {
			return handle(ctx, req)
		}
		return intercept(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: name}, handle)
	}
}

// Call makes a unary call.
func Call(ctx context.Context, cc grpc.ClientConnInterface, method string, req *typev1.Person, opts ...grpc.CallOption) (*typev1.Person, error) {
	resp := &typev1.Person{}
	if err := cc.Invoke(ctx, method, req, resp, opts...); err != nil {
		return nil, err
	}
	return resp, nil
}

// WatchPeople opens the server stream.
func WatchPeople(ctx context.Context, cc grpc.ClientConnInterface, req *typev1.Person) (grpc.ClientStream, error) {
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, Watch)
	if err != nil {
		return nil, err
	}
	if err := s.SendMsg(req); err != nil {
		return nil, err
	}
	return s, s.CloseSend()
}

// UploadPeople opens the client stream.
func UploadPeople(ctx context.Context, cc grpc.ClientConnInterface) (grpc.ClientStream, error) {
	return cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, Upload)
}
