package rpmfile

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const spec = `Name: demo
Version: 1
Release: 2
Summary: Demonstration
License: MIT
BuildArch: noarch
%description
It shows.
%install
mkdir -p %{buildroot}/etc
echo a = 1 >%{buildroot}/etc/demo.conf
%files
/etc/demo.conf
`

// built are a src.rpm and an rpm as rpmbuild makes them.
var built = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "r")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "demo.spec"), []byte(spec), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("rpmbuild", "-ba", "--define", "_topdir "+dir, "demo.spec")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, &failure{err, out}
	}
	files := map[string][]byte{}
	for kind, name := range map[string]string{"source": "SRPMS/demo-1-2.src.rpm", "binary": "RPMS/noarch/demo-1-2.noarch.rpm"} {
		if files[kind], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
})

type failure struct {
	error
	output []byte
}

func (f *failure) Error() string { return f.error.Error() + "\n" + string(f.output) }

// each runs a test with every rpm that there is to try.
func each(t *testing.T, test func(t *testing.T, content []byte)) {
	t.Helper()
	need(t, "rpmbuild")
	files, err := built()
	if err != nil {
		t.Fatal(err)
	}
	for kind, content := range files {
		t.Run(kind, func(t *testing.T) { test(t, content) })
	}
}

// need skips a test where a program is missing.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed: there is no rpm to read, or nothing to read it back", program)
	}
}

func read(t *testing.T, content []byte) File {
	t.Helper()
	file, err := Read(content)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// written is the path of a file with the content.
func written(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.rpm")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// output is what a program says on its standard output.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+t.TempDir())
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, &errs)
	}
	return string(out)
}

func TestRead(t *testing.T) {
	each(t, func(t *testing.T, content []byte) {
		file := read(t, content)
		if !bytes.Equal(file.Bytes(), content) {
			t.Error("read and written, other bytes")
		}
		if err := file.Check(); err != nil {
			t.Error(err)
		}
		if file.Signature() != nil {
			t.Error("it is not signed, and has a signature")
		}
	})
}

// What is no rpm, or cut short anywhere in its headers, is an error.
func TestReadDamaged(t *testing.T) {
	each(t, func(t *testing.T, content []byte) {
		end := len(content) - len(read(t, content).payload)
		for n := 0; n < end; n += 7 {
			if _, err := Read(content[:n]); err == nil {
				t.Fatalf("the first %d bytes of %d are taken for an rpm", n, end)
			}
		}
	})
	if _, err := Read([]byte(strings.Repeat("no rpm", 100))); err == nil {
		t.Error("text is taken for an rpm")
	}
}

func TestCheck(t *testing.T) {
	each(t, func(t *testing.T, content []byte) {
		for name, damage := range map[string]func(File){
			"header":  func(f File) { f.main[len(f.main)-100] ^= 1 },
			"payload": func(f File) { f.payload[len(f.payload)-1] ^= 1 },
		} {
			file := read(t, bytes.Clone(content))
			damage(file)
			if err := file.Check(); err == nil || !strings.Contains(err.Error(), "the rpm's "+name) {
				t.Errorf("a changed byte of the %s: error %v", name, err)
			}
		}
		file := read(t, content)
		main, _, err := readHeader(file.main)
		if err != nil {
			t.Fatal(err)
		}
		file.main = main.without(tagPayloadAlgo).bytes()
		if err := file.Check(); err == nil || !strings.Contains(err.Error(), "no SHA-256 digest of its payload") {
			t.Errorf("without the payload's digest: error %v", err)
		}
	})
}

// A header that some other program has written in its own way is left alone:
// rpmsign would write it in rpm's.
func TestUncommonHeader(t *testing.T) {
	each(t, func(t *testing.T, content []byte) {
		file := read(t, content)
		h, _, err := readHeader(file.signature)
		if err != nil {
			t.Fatal(err)
		}
		h[1], h[2] = h[2], h[1]
		file.signature = h.bytes()
		_, unsigned := file.Unsigned()
		_, signed := file.Sign([]byte("x"))
		for _, err := range []error{unsigned, signed} {
			if err == nil || !strings.Contains(err.Error(), "not in the form that rpm writes") {
				t.Errorf("error %v", err)
			}
		}
	})
}

// signatureOf is an OpenPGP signature of a number that nobody has signed, as many
// bytes long: rpmsign reads the packet before it takes it out.
func signatureOf(size int) []byte {
	number := bytes.Repeat([]byte{0xff}, size-33)
	bits := len(number) * 8
	body := slices.Concat(
		[]byte{4, 0, 1, 10, 0, 6, 5, 2, 0x60, 0, 0, 0, 0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0},
		[]byte{byte(bits >> 8), byte(bits)}, number)
	return append([]byte{0x88 | 1, byte(len(body) >> 8), byte(len(body))}, body...)
}

// Of every length of a signature `rpmsign --delsign` leaves the file as it was
// before, and so does Unsigned.
func TestSign(t *testing.T) {
	need(t, "rpmsign")
	each(t, func(t *testing.T, content []byte) {
		file := read(t, content)
		for _, size := range []int{563, 564, 565, 566, 307} {
			signature := signatureOf(size)
			signed, err := file.Sign(signature)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(signed.Signature(), signature) || !bytes.Equal(signed.Header(), file.Header()) {
				t.Errorf("%d bytes: another signature, or another header", size)
			}
			if err := read(t, signed.Bytes()).Check(); err != nil {
				t.Error(err)
			}
			again, err := read(t, signed.Bytes()).Sign(signatureOf(100))
			first, err2 := file.Sign(signatureOf(100))
			if err != nil || err2 != nil || !bytes.Equal(again.Bytes(), first.Bytes()) {
				t.Errorf("%d bytes: signed again, it is not as signed once: %v, %v", size, err, err2)
			}
			if back, err := signed.Unsigned(); err != nil || !bytes.Equal(back.Bytes(), content) {
				t.Errorf("%d bytes: unsigned, other bytes, or %v", size, err)
			}
			path := written(t, signed.Bytes())
			output(t, "rpmsign", "--delsign", path)
			if back, err := os.ReadFile(path); err != nil || !bytes.Equal(back, content) {
				t.Errorf("%d bytes: rpmsign --delsign leaves other bytes, or %v", size, err)
			}
		}
	})
}

// A file has the checksum that it is said to have, and no other file has.
func TestSummed(t *testing.T) {
	sum := strings.Repeat("5e", 32)
	each(t, func(t *testing.T, content []byte) {
		file := read(t, content)
		path := "/etc/demo.conf"
		if strings.Contains(t.Name(), "source") {
			path = "demo.spec"
		}
		summed, err := file.Summed(path, sum)
		if err != nil {
			t.Fatal(err)
		}
		if err := summed.Check(); err != nil {
			t.Error(err)
		}
		main, _, err := readHeader(summed.main)
		if err != nil {
			t.Fatal(err)
		}
		if sums := string(main.get(tagFileDigests)); sums != sum+"\x00" {
			t.Errorf("its files have the checksums %q", sums)
		}
		if _, err := file.Summed("/etc/other", sum); err == nil || !strings.Contains(err.Error(), "/etc/other") {
			t.Errorf("of a file that is not there: error %v", err)
		}
	})
}

// Without the room, too, rpm reads the file, and rpmsign restores it.
func TestTrimmed(t *testing.T) {
	need(t, "rpmsign")
	each(t, func(t *testing.T, content []byte) {
		trimmed, err := read(t, content).Trimmed()
		if err != nil {
			t.Fatal(err)
		}
		if out := output(t, "rpmkeys", "-K", "--define", "_pkgverify_level digest", written(t, trimmed.Bytes())); !strings.Contains(out, "digests OK") {
			t.Errorf("rpmkeys says %q", out)
		}
		if len(content)-len(trimmed.Bytes()) < 4096 {
			t.Errorf("%d bytes are now %d", len(content), len(trimmed.Bytes()))
		}
		signed, err := trimmed.Sign(signatureOf(566))
		if err != nil {
			t.Fatal(err)
		}
		path := written(t, signed.Bytes())
		output(t, "rpmsign", "--delsign", path)
		if back, err := os.ReadFile(path); err != nil || !bytes.Equal(back, trimmed.Bytes()) {
			t.Errorf("rpmsign --delsign leaves other bytes, or %v", err)
		}
	})
}

// What is signed in an older or newer way is seen, and taken out as well.
func TestOtherSignatures(t *testing.T) {
	each(t, func(t *testing.T, content []byte) {
		for _, tag := range signatures {
			file := read(t, content)
			h, _, err := readHeader(file.signature)
			if err != nil {
				t.Fatal(err)
			}
			file.signature = h.put(tag, []byte("signature")).bytes()
			if string(file.Signature()) != "signature" {
				t.Errorf("tag %d: it is signed, and has signature %q", tag, file.Signature())
			}
			if _, err := file.Mended("x"); err == nil || !strings.Contains(err.Error(), "is signed") {
				t.Errorf("tag %d: a change of the header of a signed rpm: error %v", tag, err)
			}
			if back, err := file.Unsigned(); err != nil || !bytes.Equal(back.Bytes(), content) {
				t.Errorf("tag %d: unsigned, other bytes, or %v", tag, err)
			}
		}
	})
}
