package engine

import (
	"net"
	"reflect"
	"unsafe"

	"github.com/pion/turn/v4"
)

// slimmer takes back what pion's allocations hold for nothing: room for 64 permissions (4 KB), and
// the answer to an Allocate, for clients that repeat it, whom the books answer themselves. pion has
// no option for that, so the slimmer reaches into pion's allocation by the names of its fields. The
// zero slimmer does nothing.
type slimmer struct {
	find reflect.Value // Manager.GetAllocation of pion's one manager
	room reflect.Type  // of its permissions
}

// slimmerOf returns the zero slimmer for a pion that is made otherwise.
func slimmerOf(s *turn.Server) slimmer {
	managers := field(reflect.ValueOf(s), "allocationManagers", reflect.Slice)
	if !managers.IsValid() || managers.Len() != 1 {
		return slimmer{}
	}
	find := managers.Index(0).MethodByName("GetAllocation")
	if !find.IsValid() || find.Type().NumIn() != 1 || find.Type().NumOut() != 1 {
		return slimmer{}
	}
	tuple, allocation := find.Type().In(0), find.Type().Out(0)
	if tuple.Kind() != reflect.Pointer || allocation.Kind() != reflect.Pointer {
		return slimmer{}
	}
	address := reflect.TypeFor[net.Addr]()
	for _, name := range []string{"SrcAddr", "DstAddr"} {
		if f, ok := tuple.Elem().FieldByName(name); !ok || f.Type != address {
			return slimmer{}
		}
	}
	permissions := field(reflect.New(allocation.Elem()), "permissions", reflect.Map)
	if !permissions.IsValid() {
		return slimmer{}
	}
	return slimmer{find, permissions.Type()}
}

// slim makes an allocation that pion has just made as small as it can be. pion is not at work
// meanwhile, and a new allocation has no permissions yet.
func (s slimmer) slim(client, server net.Addr) {
	if !s.find.IsValid() {
		return
	}
	tuple := reflect.New(s.find.Type().In(0).Elem())
	tuple.Elem().FieldByName("SrcAddr").Set(reflect.ValueOf(client))
	tuple.Elem().FieldByName("DstAddr").Set(reflect.ValueOf(server))
	allocation := s.find.Call([]reflect.Value{tuple})[0]
	if allocation.IsNil() {
		return
	}
	field(allocation, "permissions", reflect.Map).Set(reflect.MakeMapWithSize(s.room, 0))
	if answer := field(allocation, "responseCache", reflect.Struct); answer.IsValid() {
		answer.SetZero()
	}
}

// field is a field of what a pointer points to, also one that its package keeps to itself. It is
// not valid if there is none of that name and kind.
func field(pointer reflect.Value, name string, kind reflect.Kind) reflect.Value {
	if pointer.Elem().Kind() != reflect.Struct {
		return reflect.Value{}
	}
	f := pointer.Elem().FieldByName(name)
	if !f.IsValid() || f.Kind() != kind {
		return reflect.Value{}
	}
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}
