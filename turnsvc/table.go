package turnsvc

import "iter"

// table is a map of pointers that takes little room while there is little in it: nearly every
// allocation has one peer, for which three maps would take 1 KB. Its zero value is empty.
type table[K comparable, V any] struct {
	few  []entry[K, V]
	many map[K]*V // nil: all are in few
}

type entry[K comparable, V any] struct {
	key   K
	value *V
}

// fewest are no more than are found one after the other in the time that a map takes.
const fewest = 8

func (t *table[K, V]) len() int { return len(t.few) + len(t.many) }

// get returns nil for a key that is not there.
func (t *table[K, V]) get(key K) *V {
	if t.many != nil {
		return t.many[key]
	}
	for i := range t.few {
		if t.few[i].key == key {
			return t.few[i].value
		}
	}
	return nil
}

func (t *table[K, V]) set(key K, value *V) {
	for i := range t.few {
		if t.few[i].key == key {
			t.few[i].value = value
			return
		}
	}
	switch {
	case t.many != nil:
		t.many[key] = value
	case len(t.few) < fewest:
		t.few = append(t.few, entry[K, V]{key, value})
	default:
		t.many = map[K]*V{key: value}
		for _, e := range t.few {
			t.many[e.key] = e.value
		}
		t.few = nil
	}
}

// all yields what there is. What is yielded must not be removed meanwhile; see removeIf.
func (t *table[K, V]) all() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		for _, e := range t.few {
			if !yield(e.key, e.value) {
				return
			}
		}
		for key, value := range t.many {
			if !yield(key, value) {
				return
			}
		}
	}
}

func (t *table[K, V]) removeIf(match func(*V) bool) {
	left := t.few[:0]
	for _, e := range t.few {
		if !match(e.value) {
			left = append(left, e)
		}
	}
	clear(t.few[len(left):])
	t.few = left
	for key, value := range t.many {
		if match(value) {
			delete(t.many, key)
		}
	}
	// Not at fewest, or one that comes and goes would make a map each time.
	if t.many != nil && len(t.many) <= fewest/2 {
		for key, value := range t.many {
			t.few = append(t.few, entry[K, V]{key, value})
		}
		t.many = nil
	}
}
