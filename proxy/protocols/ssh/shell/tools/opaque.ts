/** Tools of which one thing is known: that a command line does not say what they do. Each with the word for why. */
import type { ToolSpec } from './spec.ts';

const opaque: Readonly<Record<string, string>> = {
  interpreter:
    'python python2 python3 perl ruby node nodejs deno bun php lua luajit tclsh wish expect osascript R Rscript julia ghci irb pry jshell scala groovy java jruby racket guile sbcl ocaml erl iex elixir gdb lldb bc dc m4 sqlite3 fish csh tcsh pwsh powershell',
  runs_code:
    'make gmake cmake ninja npm npx yarn pnpm pip pip2 pip3 pipx gem bundle bundler cargo go rustc gcc cc g++ clang tcc mvn gradle ant composer apt apt-get aptitude dpkg rpm yum dnf zypper apk pacman snap flatpak brew ansible ansible-playbook terraform tofu helm vagrant puppet salt salt-call chef-client run-parts update-alternatives logrotate ld ldd ldconfig insmod modprobe rmmod kmod mount losetup mkfs fdisk parted swapon ip6tables iptables nft ufw firewall-cmd useradd usermod adduser deluser visudo vipw chsh chfn setcap setfacl capsh aa-exec cpulimit script scriptreplay start-stop-daemon runsv sv supervisorctl pm2 forever rlwrap fakeroot proot bwrap firejail singularity lxc lxc-attach machinectl virsh qemu-system-x86_64 nmap tcpdump wireshark tshark ldapsearch certbot certtool gpg gpg2 mail sendmail mutt msmtp zip unzip 7z cpio ar pax rsyslogd sshd dropbear xdg-open open rdoc byebug',
  escapes_to_shell:
    'vi vim nvim view vimdiff rvim nano pico ed ex emacs less more most man info pg micro joe jed mc ranger htop atop iftop nethogs',
  persists: 'at batch crontab systemd-tmpfiles systemd-nspawn tmux screen byobu dtach',
  destination:
    'aws gcloud gsutil az doctl hcloud oci s3cmd rclone vault consul nomad etcdctl cqlsh clickhouse-client influx kafkacat kcat mosquitto_pub mosquitto_sub smbclient rpcclient wscat websocat grpcurl http https xh ab wrk hey siege ssh-copy-id ssh-keyscan sshpass autossh sshuttle sshfs mosh rsh rlogin rexec cloudflared ngrok chisel frpc tailscale wg openvpn proxychains proxychains4 torsocks tsocks',
  credentials: 'ssh-add ssh-agent ssh-keygen kinit klist pass op bw secret-tool security keyctl',
};

/** The table of this file. */
export const opaqueTools: Readonly<Record<string, ToolSpec>> = Object.fromEntries(
  Object.entries(opaque).flatMap(([word, names]) =>
    names.split(' ').map((name): [string, ToolSpec] => [name, { incomplete: word, parser: 'words' }]),
  ),
);
