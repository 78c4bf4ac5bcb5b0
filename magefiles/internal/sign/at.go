package sign

import "time"

// At is the same signer with another time for its signatures: t or, if the key
// is younger, the time when the key was made, before which nobody takes a
// signature of it. Closing either closes both.
func (s *Signer) At(t time.Time) *Signer {
	at := *s
	at.time = second(t)
	for _, made := range []time.Time{s.certificate.entity.PrimaryKey.CreationTime, s.key.public.CreationTime} {
		if made.After(at.time) {
			at.time = second(made)
		}
	}
	at.maker = s.maker.at(at.time)
	return &at
}

func (g gpg) at(t time.Time) maker {
	g.time = t
	return g
}

func (b builder) at(t time.Time) maker {
	b.time = t
	return b
}
